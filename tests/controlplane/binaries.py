"""Programs by name: the given one where there is one, else the built one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from . import build, cache, given
from .programs import CLUSTER


def ensure(names: Iterable[str] = CLUSTER) -> None:
    """Builds what is neither given nor built yet; by default what a cluster needs."""
    build.ensure(name for name in names if given.program(name) is None)


def path(name: str) -> Path:
    """The program, built now if need be."""
    found = given.program(name)
    if found is None:
        ensure([name])
        found = build.kept(name)
        cache.used(found.parent)
    return found


def identity(name: str) -> str:
    """What tells this program from another of the same name, to key what was made with it."""
    found = given.program(name)
    return given.version(name, found) if found else build.kept(name).parent.name
