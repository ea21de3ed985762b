"""The command `pullsizer`: its parts put together, and every error turned into a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from typer.exceptions import TyperException

from pullsizer import __version__
from pullsizer.cli import commands, roles
from pullsizer.cli.exits import FAILED, OK, USAGE, BadInput
from pullsizer.errors import PullsizerError

_INTERRUPTED: Final = 130  # as a shell has it: 128 and the number of SIGINT

_HELP: Final = """Right-size the init containers that pull KServe's models.

\b
Exit codes of all commands:
  0  done
  1  it failed: no cluster, no right to read something
  2  what was given cannot be used: a flag, a file
  3  done, and the answer is a bad one: each command says which
"""
_HELP_FLAGS: Final = {"help_option_names": ["-h", "--help"]}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pullsizer {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass


def _assembled() -> typer.Typer:
    # Plain help, without boxes: as kubectl's, and the same in a pipe and on a narrow terminal.
    found = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=_HELP_FLAGS)
    found.callback(help=_HELP)(_root)
    found.command(name="plan")(commands.plan)
    found.command(name="size")(commands.size)
    config = typer.Typer(help="Look at a policy.", rich_markup_mode=None)
    config.command(name="check")(commands.config_check)
    found.add_typer(config, name="config")
    found.command(name="explain")(commands.explain)
    found.command(name="webhook")(roles.webhook)
    found.command(name="controller")(roles.controller)
    return found


app: Final = _assembled()


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        code = app(args=arguments, prog_name="pullsizer", standalone_mode=False)
    except TyperException as error:
        context = getattr(error, "ctx", None)
        if context is not None:
            print(f"{context.get_usage()}\nTry '{context.command_path} --help'.\n", file=sys.stderr)
        print(f"pullsizer: {error.format_message()}", file=sys.stderr)
        return USAGE
    except BadInput as error:
        return _said(error, USAGE)
    except PullsizerError as error:
        return _said(error, FAILED)
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read has enough. What is still buffered has nowhere to go; closing would say so once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code if isinstance(code, int) else OK


def _said(error: PullsizerError, code: int) -> int:
    for line in str(error).splitlines():
        print(f"pullsizer: {line}", file=sys.stderr)
    return code
