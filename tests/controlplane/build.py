"""Builds the control plane's programs from pinned Go modules, once for each thing that could change what comes out.

A program is kept as `bin/<key>/<name>`, its key made of the module's version and sums, Go, the flags and our patch. A
build writes to a file beside and renames it, so what is there is whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from . import cache, toolchain
from .errors import ControlPlaneError
from .programs import PROGRAMS, Program
from .toolchain import ENVIRONMENT, Go


def kept(name: str) -> Path:
    """Where this program is, or will be after `ensure`."""
    program = PROGRAMS[name]
    made_from = key_of(program, toolchain.find().version)
    return cache.root() / "bin" / made_from / name


def key_of(program: Program, go_version: str) -> str:
    """The key of a program: everything that decides what its binary is."""
    return cache.key(program.package, program.pin, program.linker_flags, program.patch, go_version, ENVIRONMENT)


def ensure(names: Iterable[str]) -> None:
    """Builds those of the programs that are not there yet, with a line of progress for each."""
    missing = [name for name in names if not kept(name).exists()]
    if not missing:
        return
    with cache.locked("build"):
        cache.drop_unused(cache.root() / "bin")
        # Another process may have built them while this one waited for the lock.
        missing = [name for name in missing if not kept(name).exists()]
        for number, name in enumerate(missing, 1):
            takes = PROGRAMS[name].takes
            cache.say(f"building {name} ({number}/{len(missing)}), once, about {takes} on two cores…")
            begin = time.monotonic()
            _build(PROGRAMS[name], kept(name), toolchain.find())
            cache.say(f"built {name} in {time.monotonic() - begin:.0f} s")


def _build(program: Program, target: Path, go: Go) -> None:
    folder = program.folder(go)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    # Without symbols: a third smaller, and quicker to link.
    flags = " ".join(("-s", "-w", *program.linker_flags))
    done = go.run("build", "-ldflags", flags, "-o", str(part), program.package, folder=folder)
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-25:])
        raise ControlPlaneError(f"{program.name} could not be built in {folder} with {go.version}:\n{last}")
    part.rename(target)
