"""What holds of every command."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pullsizer import __version__
from tests.unit.cli.command import Command
from tests.unit.cli.services import inference_service, text

COMMANDS = (["plan"], ["size"], ["config", "check"], ["explain"], ["webhook"], ["controller"])
PROGRAM = (sys.executable, "-m", "pullsizer")


def on_a_terminal(columns: int, *argv: str, **environ: str) -> str:
    """What a person sees whose terminal is so wide."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **environ}
    with subprocess.Popen([*PROGRAM, *argv], stdout=theirs, stderr=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux's way of telling that the other end is closed
                break
            if not chunk:
                break
            seen += chunk
        assert process.wait() == 0
    os.close(ours)
    return seen.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(run: Command, command: list[str]) -> None:
    whole = run(*command, "--help")
    assert whole.code == 0
    assert whole.out == run(*command, "-h").out
    if command[0] not in ("webhook", "controller"):
        assert f"pullsizer {' '.join(command)} " in whole.out.partition("Examples:")[2]
        assert "Exit code 3:" in whole.out


def test_without_a_word_it_shows_all_commands_and_what_exit_codes_mean(run: Command) -> None:
    printed = run()
    assert printed.code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command[0]}\b", printed.out, re.MULTILINE)
    for code in "0123":
        assert re.search(rf"^    {code}  ", printed.out, re.MULTILINE)
    assert run("--version").out == f"pullsizer {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["serve"], "No such command"),
        (["plan"], "--file"),
        (["plan", "-f", "x", "-o", "xml"], "'xml'"),
        (["config", "check"], "FILE"),
        (["config"], "Missing command"),
        (["explain"], "name a pod"),
        (["size", "--timeout", "0", "hf://a/b"], "--timeout"),
    ],
)
def test_a_slip_is_named_on_standard_error_with_exit_code_2(run: Command, argv: list[str], says: str) -> None:
    printed = run(*argv)
    assert printed.code == 2
    assert says in printed.err
    assert not printed.out


def test_completion_is_typers(run: Command) -> None:
    asking = {"_PULLSIZER_COMPLETE": "complete_bash", "COMP_WORDS": "pullsizer e", "COMP_CWORD": "1"}
    process = subprocess.run(PROGRAM, env={**os.environ, **asking}, capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["explain"]


@pytest.mark.parametrize(
    "argv", [["--help"], ["plan", "--help"], ["plan", "-f", "{file}"], ["config", "check", "{file}"]]
)
def test_commands_import_no_more_than_they_need(argv: list[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mode: Auto" if argv[0] == "config" else text(inference_service()))
    arguments = [argument.format(file=file) for argument in argv]
    code = (
        f"import sys; from pullsizer.cli import main; main({arguments!r});"
        "print(*{'kopf', 'kubernetes', 'huggingface_hub', 'aiohttp', 'obstore'} & sys.modules.keys(), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.split() == []


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    file.write_text(text(*[inference_service(name=f"service-{number}") for number in range(200)]))
    process = subprocess.run(
        f"{sys.executable} -m pullsizer plan -f {file} -o json | head -1; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert process.stdout.split() == ["{", "0"]
    assert not process.stderr


def test_a_narrow_terminal_folds_lines_and_a_pipe_never_does(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(text(inference_service()))
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_a_terminal(50, "plan", "-f", str(file)))
    assert max(map(len, seen.splitlines())) <= 50
    piped = run("plan", "-f", file).out
    assert "\x1b" not in piped
    assert seen.split() == piped.split()
    assert max(map(len, piped.splitlines())) > 80
    assert all(line == line.rstrip() for line in piped.splitlines())


def test_colours_are_for_terminals_and_for_those_who_want_them(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(text(inference_service()))
    assert "\x1b[" in on_a_terminal(80, "plan", "-f", str(file))
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", on_a_terminal(80, "plan", "-f", str(file), NO_COLOR="1"))
