from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classifier_runtime.backends import child, convert_once
from classifier_runtime.backends.choose import Wanted, load
from classifier_runtime.backends.convert_once import key
from classifier_runtime.checkpoint import OPENVINO
from classifier_runtime.errors import ModelRefused
from tests.runtime import exported
from tests.runtime.backends.items import items, same, spec


def wanted(cache_dir: Path) -> Wanted:
    return Wanted(device="cpu", threads=1, cache_dir=cache_dir)


def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a process of its own, which would import torch for seconds."""
    monkeypatch.setattr(child, "run", lambda work, *args: work(*args))


def instead(monkeypatch: pytest.MonkeyPatch, work: Callable[..., Any]) -> None:
    """Of converting."""
    monkeypatch.setattr(child, "run", lambda _, *args: work(*args))


def test_the_first_start_converts_and_the_next_one_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(spec("bert"), wanted(tmp_path / "made"))  # in a process of its own
    monkeypatch.setattr(convert_once, "_export", None)
    again = load(spec("bert"), wanted(tmp_path / "made"))

    assert (first.backend.name, again.backend.name) == ("openvino", "openvino")
    own = load(spec("bert"), Wanted(device="cpu", threads=1))
    same(again.backend.forward(items("bert")), own.backend.forward(items("bert")), 1e-4)
    assert [file.name for file in (tmp_path / "made").iterdir()] == [key(spec("bert"))]


def test_what_another_version_converted_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(spec("bert"))

    monkeypatch.setattr(convert_once, "LAYOUT", 0)
    layout = key(spec("bert"))
    monkeypatch.setattr(convert_once, "version", lambda _: "2025.1.0")

    assert len({before, layout, key(spec("bert"))}) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [(OPENVINO, "<net", "cannot load it"), ("verdict.json", "{}", r"no verdict.json of this version beside it")],
)
def test_what_is_found_and_cannot_be_read_is_torchs(
    name: str, content: str, message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(exported.folder("bert"), tmp_path / key(spec("bert")))
    (tmp_path / key(spec("bert")) / name).write_text(content)

    assert load(spec("bert"), wanted(tmp_path)).backend.name == "torch-packed"
    assert message in caplog.text


def test_what_cannot_be_converted_is_torchs_and_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here(monkeypatch)
    assert load(spec("gpt2"), wanted(tmp_path)).backend.name == "torch-padded"

    (refused,) = tmp_path.iterdir()
    assert "OpenVINO cannot convert this gpt2 model" in refused.read_text()
    monkeypatch.setattr(child, "run", None)
    assert load(spec("gpt2"), wanted(tmp_path)).backend.name == "torch-padded"
    assert f"delete {refused} to try again" in caplog.text


def test_nothing_is_converted_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier_runtime.container.memory_free", lambda: 1 << 29)

    assert load(spec("bert"), wanted(tmp_path)).backend.name == "torch-packed"
    assert not list(tmp_path.iterdir())


def test_where_converting_took_the_container_down_it_is_not_tried_in_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Killed(BaseException):
        """As by the kernel: nothing is tidied up."""

    def killed(*_: object) -> None:
        raise Killed

    instead(monkeypatch, killed)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(Killed):
        convert_once.cached(spec("bert"), tmp_path)
    monkeypatch.undo()

    (begun,) = tmp_path.iterdir()
    monkeypatch.setattr(child, "run", None)
    assert convert_once.cached(spec("bert"), tmp_path) is None
    assert f"not ended; delete {begun} to try again" in caplog.text
    # Another pod is another try.
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    instead(monkeypatch, lambda _, folder: folder.mkdir())
    assert convert_once.cached(spec("bert"), tmp_path) is not None


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), OSError(30, "Read-only file system"), child.ChildDied("ended by itself")],
)
def test_what_is_wrong_with_the_volume_is_torchs_for_now_and_tried_again(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise error

    instead(monkeypatch, fails)

    assert load(spec("bert"), wanted(tmp_path)).backend.name == "torch-packed"
    assert str(error) in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_no_reason_not_to_serve(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert load(spec("bert"), wanted(tmp_path / "file" / "cache")).backend.name == "torch-packed"


def test_of_two_that_convert_at_once_the_first_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from classifier_runtime import export as command

    here(monkeypatch)
    other = exported.beside("bert", tmp_path / "other")
    folder = tmp_path / "cache" / key(spec("bert"))
    export = command.export

    def overtaken(*args: Any, **more: Any) -> Any:
        made = export(*args, **more)
        shutil.copytree(other, folder)
        return made

    monkeypatch.setattr(command, "export", overtaken)

    assert convert_once.cached(spec("bert"), tmp_path / "cache") == folder
    assert (folder / "model.safetensors").is_file()  # only the other one's has it
    assert list((tmp_path / "cache").iterdir()) == [folder]


def test_an_export_in_the_cache_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    folder = tmp_path / key(spec("bert"))
    rename, before = Path.rename, []

    def watched(self: Path, to: Path) -> Path:
        before.append(folder.exists())
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", watched)
    assert convert_once.cached(spec("bert"), tmp_path) == folder

    assert before == [False]
    assert (folder / OPENVINO).is_file()


def test_a_child_s_answer_and_its_error_are_the_parents() -> None:
    assert child.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        child.run(divmod, 7, 0)
    with pytest.raises(ModelRefused, match="no weights"):
        child.run(refuse)


def test_a_child_that_is_killed_is_an_error_of_its_own() -> None:
    with pytest.raises(child.ChildDied, match=r"ended by itself \(-9\)"):
        child.run(end)


def test_a_server_that_is_told_to_end_does_not_wait_for_its_child() -> None:
    code = """
import sys, threading, time
from classifier_runtime.backends import child
threading.Thread(target=child.run, args=(time.sleep, 3600), daemon=True).start()
while not child.multiprocessing.active_children():
    time.sleep(0.01)
print(child.multiprocessing.active_children()[0].pid)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert not Path(f"/proc/{int(done.stdout)}").exists()


def refuse() -> None:
    raise ModelRefused("no weights")


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
