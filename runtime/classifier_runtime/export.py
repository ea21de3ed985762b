"""`classifier_runtime export`: what a start needs to serve a model without torch, made once, ahead of time.

OUT gets the OpenVINO model, the tokenizer as a backend uses it, config.json, and the verdict: which backend is fastest
here, and with int8 what the gate measured. The verdict comes last: a folder without it was not finished.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from classifier_runtime import container, verdict
from classifier_runtime import model as models
from classifier_runtime.backends import openvino_convert, probe
from classifier_runtime.checkpoint import OPENVINO
from classifier_runtime.errors import ModelRefused
from classifier_runtime.fingerprint import fingerprint
from classifier_runtime.model import ModelSpec
from classifier_runtime.verdict import VERDICT, Verdict

log = logging.getLogger(__name__)

COPIED: Final = ("config.json", "preprocessor_config.json", "tokenizer_config.json", "special_tokens_map.json")
SCRATCH: Final = ".export-"
# Seconds. An export takes minutes.
ABANDONED: Final = 6 * 3600
VERSIONS: Final = ("openvino", "torch", "transformers")


def main(argv: Sequence[str]) -> int:
    """`python -m classifier_runtime export …`: prints the verdict; the exit status is 2 for a model that is refused."""
    parser = argparse.ArgumentParser(
        "classifier_runtime export", description="Prepares a model: OpenVINO, no torch at start."
    )
    parser.add_argument("model", type=Path, help="the model's folder, as the Hub has it")
    parser.add_argument("out", type=Path, help="where to; may be the same folder")
    parser.add_argument(
        "--int8", action="store_true", help="quantise; needs --calibration, and refuses what answers otherwise"
    )
    parser.add_argument("--calibration", type=Path, help="200 texts or more, one a line, or JSON lines with `text`")
    parser.add_argument("--task", help="where the model does not say")
    parser.add_argument("--threads", type=int, help="to time the backends with; those that will serve")
    parser.add_argument("--trust_remote_code", action="store_true", help="run Python code that the model brings")
    parser.add_argument("--allow_pickle", action="store_true", help="load weights that are no safetensors")
    said = parser.parse_args(argv)
    try:
        found = export(
            said.model,
            said.out,
            int8=said.int8,
            calibration=said.calibration,
            task=said.task,
            trust_remote_code=said.trust_remote_code,
            allow_pickle=said.allow_pickle,
            threads=said.threads or container.cpus(),
        )
    except (ModelRefused, OSError) as error:
        log.critical("%s", error)
        return 2
    sys.stdout.write(json.dumps(asdict(found), indent=2) + "\n")
    return 0


def export(
    model_dir: Path,
    out: Path,
    *,
    int8: bool = False,
    calibration: Path | None = None,
    task: str | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    threads: int | None = None,
    timed: bool = True,
) -> Verdict:
    """Writes an export; what it found out is returned, too.

    :param out: a folder, made where it is not there; may be the model's own
    :param calibration: texts, one a line or as JSON lines with `text`: for int8, half calibrates and half is the gate
    :param timed: whether the backends are timed; without, the verdict is `openvino`
    :raises ModelRefused: a model that OpenVINO cannot convert, or int8 that answers differently
    """
    if int8 != (calibration is not None):
        raise ModelRefused(
            "--int8 and --calibration belong together: a file of texts like those that will be classified"
        )
    quantize = _quantizer() if int8 else None
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    # Beside the result, so that files are moved and not copied; a reader never sees half of one.
    with tempfile.TemporaryDirectory(dir=out, prefix=SCRATCH) as scratch:
        made = Path(scratch)
        source = _with_tokenizer(model_dir, made / "source", trust_remote_code=trust_remote_code)
        spec = models.read(source, task=task, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle)
        converted = openvino_convert.convert(spec, made / OPENVINO)
        gate = quantize(spec, made / OPENVINO, calibration) if quantize and calibration else None
        seconds = probe.timings(spec, made / OPENVINO, threads) if timed and not int8 else {}
        found = Verdict(
            backend=probe.fastest(seconds),
            classes=converted,
            model=fingerprint(source),
            cpu=verdict.cpu_flags(),
            threads=threads,
            versions={name: version(name) for name in VERSIONS},
            seconds=seconds,
            int8=gate,
        )
        found.write(made)
        _facts(spec, made)
        shutil.rmtree(made / "source", ignore_errors=True)
        _move(made, out)
    return found


def _move(made: Path, out: Path) -> None:
    """The model's description goes first and comes last but for the verdict: whoever is killed or reads in between
    finds no model, and never the description of one with the weights of another.
    """
    late = ("", OPENVINO, VERDICT)
    for name in (VERDICT, OPENVINO):
        (out / name).unlink(missing_ok=True)
    for file in sorted(made.iterdir(), key=lambda file: late.index(file.name) if file.name in late else 0):
        file.replace(out / file.name)


def sweep(folder: Path) -> None:
    """What exports left that were killed long ago."""
    for scratch in folder.glob(f"{SCRATCH}*"):
        if time.time() - scratch.stat().st_mtime > ABANDONED:
            shutil.rmtree(scratch, ignore_errors=True)


def _quantizer() -> Callable[[ModelSpec, Path, Path], dict[str, float]]:
    """:raises ModelRefused: before minutes are spent on what cannot be finished"""
    try:
        from classifier_runtime.backends import quantize  # noqa: PLC0415 - nncf takes seconds, and only int8 needs it
    except ImportError as error:
        raise ModelRefused(f"--int8 needs {error.name}, which is not installed; use the image with torch") from error
    return quantize.quantize


def _with_tokenizer(model_dir: Path, source: Path, *, trust_remote_code: bool) -> Path:
    """The model's folder; or one of links to it, with the tokenizer.json that it lacks."""
    has = {name: (model_dir / name).is_file() for name in ("config.json", "tokenizer.json", "preprocessor_config.json")}
    if not has["config.json"] or has["tokenizer.json"] or has["preprocessor_config.json"]:
        return model_dir
    from transformers import AutoTokenizer  # noqa: PLC0415 - only where a tokenizer is to be converted

    source.mkdir()
    for file in model_dir.iterdir():
        if file.is_file():
            (source / file.name).symlink_to(file.resolve())
    try:
        tokenizer = AutoTokenizer.from_pretrained(model_dir, trust_remote_code=trust_remote_code, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        raise ModelRefused(f"{model_dir}: no tokenizer.json, and none can be made of what is there: {error}") from error
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelRefused(
            f"{model_dir}: its tokenizer is written in Python and cannot be converted to a tokenizer.json"
        )
    if backend.get_vocab().keys() <= set(tokenizer.all_special_tokens):  # what transformers makes of no file at all
        raise ModelRefused(f"{model_dir}: no tokenizer.json, and no vocabulary to make one of; copy the model again")
    backend.save(str(source / "tokenizer.json"))
    return source


def _facts(spec: ModelSpec, folder: Path) -> None:
    """What tasks need beside the weights."""
    for name in COPIED:
        if (spec.path / name).is_file():
            shutil.copy(spec.path / name, folder / name)
    if spec.tokenizer.is_file():
        # Some files pad or cut every text to a length for ever; how long a text may be is for the model to say.
        words = json.loads(spec.tokenizer.read_text(encoding="utf-8"))
        words |= {"padding": None, "truncation": None}
        (folder / "tokenizer.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
