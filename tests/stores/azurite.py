"""Azurite, from npm into the project's cache, once for each lock file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.controlplane import ControlPlaneError, NoToolchainError, cache
from tests.controlplane.versions import parse

SOURCES: Final = Path(__file__).with_name("npm")
MAIN: Final = SOURCES / "main.js"
MINIMUM_NODE: Final = (20,)
"""The highest `engines` of the packages in the lock file; those of Azurite 3.36 ask for 21, which few machines have."""

_FILES: Final = ("package.json", "package-lock.json")


def node() -> Path:
    """Node, new enough; raises NoToolchainError with a remedy."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found or not npm:
        raise NoToolchainError(f"Azurite needs {'npm' if found else 'node'}, which is not on PATH: install Node.js")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if parse(version) < MINIMUM_NODE:
        raise NoToolchainError(f"Azurite needs Node.js {MINIMUM_NODE[0]} or newer, and {found} is {version}")
    return Path(found)


def folder() -> Path:
    """The folder that holds its node_modules, installed now if need be."""
    node()
    kept = cache.root() / "azurite" / cache.hash_files(*(SOURCES / name for name in _FILES))[:16]
    with cache.locked("azurite"):
        if not kept.exists():
            cache.say("fetching Azurite from npm, once, about 10 seconds…")
            cache.drop_unused(kept.parent)
            _install(kept)
    return cache.used(kept)


def _install(target: Path) -> None:
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in _FILES:
        shutil.copyfile(SOURCES / name, part / name)
    # `ci` takes what the lock names and nothing else, each package by its hash. Without scripts: none is needed, and
    # what is fetched runs only as the tests' server.
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=part,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-10:])
        raise ControlPlaneError(f"npm could not install Azurite, see `npm config get registry`:\n{last}")
    part.rename(target)
