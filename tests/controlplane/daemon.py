"""A control plane that outlives the command that starts it: `up` and `down`, one for each checkout.

Its process holds a lock as long as it lives, so whether it runs is never a guess about a pid.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from . import binaries, cache, snapshot, versions
from .errors import ControlPlaneError
from .plane import ControlPlane

CHECKOUT: Final = Path(__file__).parents[2]
PATIENCE: Final = 120.0


class Daemon:
    """The detached control plane of this checkout, running or not."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache.root() / "clusters" / cache.key(str(CHECKOUT))
        self.lock = self.folder.with_suffix(".lock")
        self.log = self.folder.with_suffix(".log")
        self._facts = self.folder / "facts.json"
        self._process: subprocess.Popen[bytes] | None = None
        self.folder.parent.mkdir(parents=True, exist_ok=True)

    def up(self) -> dict[str, Any]:
        """Starts it unless it runs; returns its facts, see ControlPlane.facts."""
        binaries.ensure()
        snapshot.folder()
        with cache.locked("up"):
            if self.pid() is None:
                shutil.rmtree(self.folder, ignore_errors=True)  # of one that the machine's end took down
                self._detach()
            return self._wait_ready()

    def _detach(self) -> None:
        command = [sys.executable, "-m", "tests.controlplane", "serve", str(self.folder)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _wait_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while not self._facts.exists():
            if (self._process is not None and self._process.poll() is not None) or time.monotonic() > deadline:
                raise ControlPlaneError(f"the control plane did not start; {self.log} says:\n{self.log.read_text()}")
            time.sleep(0.05)
        facts: dict[str, Any] = json.loads(self._facts.read_text())
        return facts

    def down(self) -> bool:
        """Ends it and waits until nothing of it is left; False when it did not run."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE
            while self.pid() is not None:
                if time.monotonic() > deadline:
                    raise ControlPlaneError(f"the control plane, pid {pid}, does not end: kill -9 {pid}")
                time.sleep(0.05)
        if self._process is not None:
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        return pid is not None

    def pid(self) -> int | None:
        """Of the process that holds the lock."""
        if not self.lock.exists():
            return None
        with self.lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
        return None

    def serve(self, then: Callable[[ControlPlane], None] = lambda _: None) -> None:
        """The detached process itself: starts the control plane and waits for SIGTERM.

        :param then: what to do on the plane before it counts as up
        """
        with self.lock.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            with ControlPlane.create(self.folder) as plane:
                then(plane)
                part = self._facts.with_suffix(".part")
                part.write_text(plane.facts())
                part.rename(self._facts)
                signal.pause()


def describe(facts: dict[str, Any]) -> str:
    """What `up` prints; all but the export is a comment, so that a shell can evaluate it."""
    kubectl = facts["kubectl"]
    return f"""\
# Kubernetes {versions.KUBERNETES} with KServe {versions.KSERVE}, up in {facts["timings"]["total"]:.1f} s.
export KUBECONFIG={facts["kubeconfig"]}
# kubectl: {kubectl}
# Try:     {kubectl} get clusterservingruntimes
# Requests to it, one JSON each: {facts["audit_log"]}
# The end: make cluster-down"""
