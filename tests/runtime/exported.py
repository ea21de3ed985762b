"""Exports of the tiny models, made once and kept beside them, for as long as what makes them is the same."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

import classifier_runtime
from tests.runtime import tiny

# Whose change makes other exports, beside all of backends/.
MAKERS = ("export.py", "model.py", "verdict.py", "fingerprint.py")


@cache
def folder(name: str) -> Path:
    """Of a model of `tiny.NAMES`. Without the model's own weights: read it, and copy it to change it."""
    made = tiny.model(name).parent / f"openvino-{_hash()}" / name
    if not made.exists():
        from classifier_runtime.export import export

        made.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
            export(tiny.model(name), Path(scratch) / name, timed=False)
            try:
                (Path(scratch) / name).rename(made)
            except OSError:  # another process was first
                assert made.exists()
    return made


def beside(name: str, to: Path) -> Path:
    """A copy of the model with its export in the same folder, as an operator has it who exports in place."""
    shutil.copytree(tiny.model(name), to)
    shutil.copytree(folder(name), to, dirs_exist_ok=True)
    return to


def _hash() -> str:
    product = Path(classifier_runtime.__file__).parent
    said = hashlib.sha256(version("openvino").encode())
    for file in sorted([*(product / name for name in MAKERS), *(product / "backends").glob("*.py")]):
        said.update(file.read_bytes())
    return said.hexdigest()[:12]
