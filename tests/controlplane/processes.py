"""The child processes of one control plane, and that none of them outlives it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from . import warden
from .errors import ControlPlaneError

LAUNCH: Final = Path(__file__).with_name("launch.py")
# Of a process that is told to stop; one of ours may be draining connections.
GRACE: Final = 20.0


@dataclass
class Process:
    """A process of the plane, with all it takes to start it once more."""

    name: str
    argv: Sequence[str]
    environment: dict[str, str]
    ready: Callable[[], bool] | None = None
    popen: subprocess.Popen[bytes] = field(init=False)


class Processes:
    """Starts, watches and stops them. Three nets, each for what slips through the one before:

    `close` asks politely; the kernel kills each child when its parent dies; the warden kills what is left and removes
    the folder, see warden.py.
    """

    def __init__(self, folder: Path) -> None:
        if not Path("/proc/self/environ").exists():
            raise ControlPlaneError(
                "the control plane needs Linux, for it finds its processes in /proc: "
                "run the tests in a Linux machine, or on a cluster named by PULLSIZER_TEST_KUBECONFIG"
            )
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.mark = f"{folder}#{uuid.uuid4()}"
        self._running: dict[str, Process] = {}
        self._warden = subprocess.Popen(
            [sys.executable, "-I", "-S", warden.__file__, self.mark, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Should this run inside another plane, its warden is not to kill ours before ours has cleaned up.
            env={name: value for name, value in os.environ.items() if name != warden.VARIABLE},
            start_new_session=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Ours with the mark; also for commands that are not kept here, such as kubectl."""
        return {**os.environ, warden.VARIABLE: self.mark}

    def start(
        self, name: str, argv: Sequence[str], environment: dict[str, str], ready: Callable[[], bool] | None = None
    ) -> Process:
        """Starts a process under a name that is not in use; its output is in `logs/NAME.log`."""
        if self._warden.poll() is not None:
            raise ControlPlaneError(f"{name} not started: the control plane in {self.folder} is stopped")
        if (old := self._running.get(name)) is not None and old.popen.poll() is None:
            raise ControlPlaneError(f"{name} runs already, pid {old.popen.pid}: stop it first")
        process = Process(name, tuple(argv), environment, ready)
        # The kernel's signal comes when the *thread* that started a process ends: only the main one may ask for it.
        in_main = threading.current_thread() is threading.main_thread()
        launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid())] if in_main else []
        with (self.logs / f"{name}.log").open("ab") as log:
            process.popen = subprocess.Popen(
                [*launch, *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment | environment,
                # Ctrl-C in a terminal goes to the whole group: children of another session are stopped by us, in order.
                start_new_session=True,
            )
        self._running[name] = process
        return process

    def all(self) -> dict[str, Process]:
        """Every process so far by its name."""
        return dict(self._running)

    def get(self, name: str) -> Process:
        """The process of this name, running or dead."""
        try:
            return self._running[name]
        except KeyError:
            known = ", ".join(self._running) or "none"
            raise ControlPlaneError(
                f"the control plane in {self.folder} has no process {name}; it has: {known}"
            ) from None

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends a process with this signal, after a grace period with SIGKILL; returns its exit status."""
        popen = self.get(name).popen
        popen.send_signal(number)
        try:
            return popen.wait(GRACE)
        except subprocess.TimeoutExpired:
            popen.kill()
            return popen.wait()

    def restart(self, name: str, number: signal.Signals = signal.SIGKILL) -> Process:
        """Kills it and starts it again with the same arguments, so on the same ports."""
        old = self.get(name)
        self.stop(name, number)
        return self.start(name, old.argv, old.environment, old.ready)

    def wait_ready(self, process: Process, timeout: float = 60) -> None:
        """Until it serves; when it dies or takes too long, the error holds the end of its log."""
        deadline = time.monotonic() + timeout
        while process.ready is not None and not process.ready():
            self.check(process.name)
            if time.monotonic() > deadline:
                raise ControlPlaneError(
                    f"{process.name} is not ready after {timeout:.0f} s:\n{self.tail(process.name)}"
                )
            time.sleep(0.03)

    def check(self, *names: str) -> None:
        """Raises when one of them (of all) has died, with the end of its log."""
        for name in names or tuple(self._running):
            status = self.get(name).popen.poll()
            if status is not None:
                raise ControlPlaneError(f"{name} died with status {status}; the end of its log:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 25) -> str:
        """The last lines of its log."""
        log = self.logs / f"{name}.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) or "(its log is empty)"

    def close(self, *, politely: Sequence[str] = ()) -> None:
        """Ends all of them and removes the folder. Those named get time to finish, in reverse order of their start.

        The others need none: what they would write is thrown away.
        """
        for process in reversed(self._running.values()):
            if process.popen.poll() is None and process.name in politely:
                process.popen.terminate()
        for process in reversed(self._running.values()):
            if process.name in politely:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.popen.wait(GRACE)
            process.popen.kill()
            process.popen.wait()
        # Not left to the warden, whose time is bounded: there may be a hundred thousand files, and a busy disk.
        shutil.rmtree(self.folder, ignore_errors=True)
        assert self._warden.stdin is not None
        self._warden.stdin.close()
        self._warden.wait(2 * warden.PATIENCE)
        if self.folder.exists():
            shutil.rmtree(self.folder)
