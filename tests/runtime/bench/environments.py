"""An environment for each peer, made once and kept in the project's cache.

uv makes them of hard links: ten environments with torch take the place of three.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.controlplane import cache

_OURS: Final = "bench-runtime"
UV: Final = "uv==0.13.9"
NEWEST: Final = "2026-11-23"
"""What was published later is not seen, so the same versions are found each time: peers pin little themselves."""


class Unavailable(Exception):
    """A peer cannot be installed here: why."""


def _nothing(folder: Path) -> None: ...


@dataclass(frozen=True)
class Environment:
    """What a peer runs in.

    :param name: several peers may share one
    :param finish: what is to be done to it once it is installed; gets its folder
    :param revision: of `finish`, counted up when that changes
    """

    name: str
    requirements: tuple[str, ...]
    finish: Callable[[Path], None] = _nothing
    revision: int = 0

    @property
    def folder(self) -> Path:
        key = cache.key(self.requirements, self.revision, NEWEST, sys.version_info[:3])
        return root() / "environments" / f"{self.name}-{key}"


def root() -> Path:
    """Of all that this bench keeps."""
    return cache.root(_OURS)


def ensure(environment: Environment) -> Path:
    """The folder of the environment, which is made where it is not there.

    :raises Unavailable: the installer's reason
    """
    folder = environment.folder
    with cache.locked("environments", _OURS):
        if not folder.exists():
            uv = _uv()
            say(f"installing {environment.name}, once…")
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            python = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")
            # Relocatable: it is renamed when it is whole.
            _run(uv, "venv", "--quiet", "--relocatable", "--python", python, str(part))
            here = ("--python", str(part / "bin" / "python"), "--exclude-newer", NEWEST)
            _run(uv, "pip", "install", "--quiet", *here, *environment.requirements)
            environment.finish(part)
            part.rename(folder)
            cache.drop_unused(folder.parent)
    return cache.used(folder)


def versions(environment: Environment) -> list[str]:
    """What is installed, as `name==version`."""
    return _run(_uv(), "pip", "freeze", "--python", str(environment.folder / "bin" / "python")).split()


def uninstall(folder: Path, *packages: str) -> None:
    _run(_uv(), "pip", "uninstall", "--quiet", "--python", str(folder / "bin" / "python"), *packages)


def site_packages(folder: Path) -> Path:
    return next((folder / "lib").glob("python3.*")) / "site-packages"


def replace(file: Path, before: str, after: str) -> None:
    """Patch what would not start otherwise.

    :raises Unavailable: the file is not as it was
    """
    text = file.read_text()
    if text.count(before) != 1:
        raise Unavailable(f"{file.name} has no longer what is to be patched: {before!r}")
    # A new file: this one is a hard link to the cache that other environments are made of.
    file.unlink()
    file.write_text(text.replace(before, after))


def say(line: str) -> None:
    """Progress: on stderr, so that stdout holds results alone."""
    print(f"bench-runtime: {line}", file=sys.stderr, flush=True)


def _uv() -> Path:
    folder = root() / cache.key(UV, sys.version_info[:3])
    if not (folder / "bin" / "uv").exists():
        venv.create(folder, with_pip=True, clear=True)
        _run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", UV)
    return folder / "bin" / "uv"


def _run(command: Path, *arguments: str) -> str:
    settings = {"UV_CACHE_DIR": str(root() / "uv"), "UV_LINK_MODE": "hardlink", "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(
        [str(command), *arguments], env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unavailable(done.stderr.strip()[-600:] or f"{command.name} gave no reason")
    return done.stdout
