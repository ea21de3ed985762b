"""Where made models are kept, each under a key of all that decides what comes out, and made once."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tests.controlplane import cache
from tests.models.recipes import RECIPES, NotMadeError, Recipe

HERE: Final = Path(__file__).parent
MADE: Final = "made.json"
CALIBRATION: Final = "calibration.jsonl"

_RUNTIME: Final = HERE.parents[1] / "runtime" / "classifier_runtime"
_EXPORTED_WITH: Final = ("torch", "transformers", "openvino", "nncf")


def folder(name: str) -> Path:
    """The model's folder, made now if need be: minutes, with lines of progress.

    :raises NotMadeError: what it is made of cannot be had, or it does worse than it should
    """
    recipe = RECIPES[name]
    return _kept(name, _key(recipe), f"making {recipe.what}", recipe.takes, lambda part: _make(recipe, part))


def exported(name: str, *, int8: bool = False) -> Path:
    """The same for OpenVINO, without torch's weights; with `int8` quantised by texts that the model was trained on.

    Not timed against torch, whose weights are not there: an export is served by OpenVINO wherever it is served.

    :raises NotMadeError: as `folder`
    """
    model = folder(name)
    # Of all backends: which of them have a part in an export changes, and a benchmark of an old one would not tell.
    code = cache.hash_files(_RUNTIME / "export.py", *sorted(_RUNTIME.glob("backends/*.py")))
    key = cache.key(model.name, code, _versions(_EXPORTED_WITH), int8)
    number = "int8" if int8 else "fp32"

    def make(part: Path) -> None:
        from classifier_runtime.export import export

        export(model, part, int8=int8, calibration=model / CALIBRATION if int8 else None, timed=False)

    takes = "a minute" if int8 else "a quarter of a minute"
    return _kept(f"{name}-{number}", key, f"exporting {name} for OpenVINO, {number}", takes, make)


def say(line: str) -> None:
    """One line of progress: on stderr, so that stdout holds results alone."""
    print(f"models: {line}", file=sys.stderr, flush=True)


def _key(recipe: Recipe) -> str:
    sources = (f"{recipe.module}.py", *recipe.others)
    return cache.key(cache.hash_files(*(HERE / name for name in sources)), _versions(recipe.packages), recipe.least)


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {package: version(package) for package in packages}


def _kept(name: str, key: str, doing: str, takes: str, make: Callable[[Path], None]) -> Path:
    """The entry of this key. It comes to be whole or not at all, and a second process waits for the first."""
    kept = cache.root("models") / f"{name}-{key}"
    with cache.locked(name, "models"):
        if not kept.exists():
            say(f"{doing}, once, about {takes} on two cores…")
            began = time.monotonic()
            cache.drop_unused(kept.parent, "*-*")
            part = kept.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            for file in part.rglob("*"):
                file.chmod(0o755 if file.is_dir() else 0o644)  # safetensors writes 0600, which no other user can read
            part.rename(kept)
            say(f"made in {time.monotonic() - began:.0f} s: {kept}")
    return cache.used(kept)


def maker(recipe: Recipe) -> Callable[[Path], dict[str, Any]]:
    """What writes the model to a folder and returns what it measured; imported only where one is to be made."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # of saving; how far the training is, is told by us
    make: Callable[[Path], dict[str, Any]] = importlib.import_module(f"tests.models.{recipe.module}").make
    return make


def _make(recipe: Recipe, part: Path) -> None:
    began, began_cpu = time.monotonic(), time.process_time()
    measured = maker(recipe)(part)
    made = {
        **measured,
        "least_accuracy": recipe.least,
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(time.process_time() - began_cpu, 1),
        "versions": _versions(recipe.packages),
    }
    (part / MADE).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    judge(recipe, made)


def judge(recipe: Recipe, made: dict[str, Any]) -> None:
    """:raises NotMadeError: it does worse than it should"""
    if recipe.least is not None and made["accuracy"] < recipe.least:
        raise NotMadeError(
            f"{recipe.name} is right in {made['accuracy']:.3f} of {made['held_out']} held-out cases and "
            f"{recipe.least:.2f} is the least: the recipe tests/models/{recipe.module}.py no longer does"
        )
