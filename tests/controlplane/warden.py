"""Outlives the owner of a control plane to clean up after it: `python warden.py MARK FOLDER`, its stdin a pipe.

The owner holds the other end. When that closes, be it that the owner asks for it, crashes or is killed by SIGKILL, the
warden kills every process that carries the mark in its environment and removes the folder. It finds processes by mark
and not by pids that the owner reports, so that those are found, too, which started as the owner was being killed, and
those which the owner's processes started.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

VARIABLE = "PULLSIZER_TEST_PLANE"
PATIENCE = 20.0


def marked(mark: str) -> list[int]:
    """The processes, zombies left out, whose environment says that they belong to this control plane."""
    wanted = f"{VARIABLE}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            # Others' processes cannot be read, and any may be gone by now.
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def clean(mark: str, folder: Path) -> None:
    """Kills until nobody is left, then removes the folder."""
    deadline = time.monotonic() + PATIENCE
    while (pids := marked(mark)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Waits for the end of the owner."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    mark, folder = sys.argv[1:]
    os.chdir("/")
    while os.read(0, 1024):
        pass
    clean(mark, Path(folder))


if __name__ == "__main__":
    main()
