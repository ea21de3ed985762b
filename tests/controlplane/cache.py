"""Where things are kept that cost minutes to make, and how two processes do not make them twice."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def root(part: str = "controlplane") -> Path:
    """The folder of this package, or of another part of the tests, in the project's cache, outside the repository."""
    given = os.environ.get("PULLSIZER_TEST_CACHE")
    base = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pullsizer"
    folder = base.absolute() / part
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def key(*parts: object) -> str:
    """A short name for what something is made from: equal parts, equal key; anything different, another key."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def hash_files(*files: Path) -> str:
    """The hash of the files' contents, in this order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


@contextlib.contextmanager
def locked(name: str, part: str = "controlplane") -> Iterator[None]:
    """Holds a lock among all processes that use this cache; it goes with the process, however that ends."""
    with (root(part) / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def used(path: Path) -> Path:
    """Notes that this entry is still of use."""
    os.utime(path)
    return path


def drop_unused(folder: Path, pattern: str = "*", *, days: float = 30) -> None:
    """Removes entries that nobody has used for so long: of other versions, mostly."""
    for entry in folder.glob(pattern):
        with contextlib.suppress(OSError):
            if time.time() - entry.stat().st_mtime > days * 86400:
                shutil.rmtree(entry)


def say(line: str) -> None:
    """One line of progress: on stderr, so that stdout holds results alone."""
    print(f"controlplane: {line}", file=sys.stderr, flush=True)
