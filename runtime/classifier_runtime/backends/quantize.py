"""int8 by NNCF's post-training quantisation, behind a gate: it must answer as float32 does.

Half of the operator's texts calibrate, the other half is the gate: never the same ones, or the gate proves nothing.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Final

import nncf
import numpy as np
import openvino
from tokenizers import Tokenizer

from classifier_runtime.backends import layouts, openvino_convert
from classifier_runtime.backends.openvino import OpenVino
from classifier_runtime.core.job import Floats, Item
from classifier_runtime.errors import ModelRefused
from classifier_runtime.model import ModelSpec

log = logging.getLogger(__name__)

# Of 100 texts in the gate, one may differ: fewer could not tell 99 % from 97 %.
FEWEST: Final = 200
AGREEMENT: Final = 0.99
# Heads stay float32, as transformers names them: they compute one row a text, so int8 would gain nothing there, and a
# third of what it changes in logits is theirs (MiniLM: 0.077 on average with, 0.054 without).
HEADS: Final = r".*\.(pooler|pre_classifier|classifier|score)\b.*"


def quantize(spec: ModelSpec, file: Path, calibration: Path) -> dict[str, float]:
    """Puts the int8 model in the place of the float32 one; what the gate measured.

    :raises ModelRefused: too few texts, or another answer too often
    """
    if spec.task == "image-classification" or spec.problem == "regression":
        raise ModelRefused(
            f"{spec.path}: --int8 is for text classifiers; nothing tells when another model is still right"
        )
    items = [_item(spec, encoding) for encoding in _encodings(spec, calibration)]
    half = len(items) // 2
    core = openvino.Core()
    names = {port.get_any_name() for port in core.read_model(file).inputs}
    layout = layouts.of(spec, names)
    assert layout is not None  # it was exported a moment ago

    def feed(item: Item) -> dict[str, Any]:
        batch = layout.inputs([item])
        return {name: batch[name] for name in names}

    made = nncf.quantize(
        core.read_model(file),
        nncf.Dataset(items[:half], feed),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=half,
        ignored_scope=nncf.IgnoredScope(patterns=[HEADS], validate=False),
    )
    candidate = file.with_name("int8.xml")
    openvino_convert.write(made, candidate, half=True)
    before, after = OpenVino(spec, file), OpenVino(spec, candidate)
    same = [_same(spec, before.forward([item])[0], after.forward([item])[0]) for item in items[half:]]
    agreement = float(np.concatenate(same).mean())
    log.info("int8 agrees with float32 in %.4f of %d texts", agreement, len(items) - half)
    if agreement < AGREEMENT:
        raise ModelRefused(
            f"{spec.path}: int8 answers as float32 does in {agreement:.1%} of {len(items) - half} texts, and "
            f"{AGREEMENT:.0%} is the least; serve it without --int8"
        )
    del before, after, made
    candidate.replace(file)
    candidate.with_suffix(".bin").replace(file.with_suffix(".bin"))
    return {"agreement": agreement, "gate": len(items) - half, "calibration": half}


def _same(spec: ModelSpec, one: Floats, other: Floats) -> Any:
    """Whether the answers are: the best class, of each token if it is tokens; with sigmoid every yes and no."""
    if spec.problem == "multi_label_classification" or spec.classes == 1:
        return np.atleast_1d(((one > 0) == (other > 0)).all(axis=-1))
    return np.atleast_1d(one.argmax(axis=-1) == other.argmax(axis=-1))


def _encodings(spec: ModelSpec, file: Path) -> list[Any]:
    tokenizer = Tokenizer.from_file(str(spec.tokenizer))
    tokenizer.no_padding()
    tokenizer.enable_truncation(spec.max_tokens)
    found = [one for one in tokenizer.encode_batch(texts(file)) if one.ids]
    if len(found) < FEWEST:
        raise ModelRefused(f"{file}: {len(found)} texts, and {FEWEST} is the least: half calibrates, half is the gate")
    return found


def texts(file: Path) -> list[Any]:
    """Of a file with one text a line; or JSON lines with `text`, and `text_pair` where there are pairs."""
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ModelRefused(f"{file} cannot be read as text: {error}") from None
    if file.suffix not in (".jsonl", ".ndjson"):
        return list(lines)
    found: list[Any] = []
    for number, line in enumerate(lines, 1):
        try:
            said = json.loads(line)
            text, pair = said["text"], said.get("text_pair")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ModelRefused(f'{file}, line {number}: not {{"text": …}}') from None
        found.append(text if pair is None else (text, pair))
    return found


def _item(spec: ModelSpec, encoding: Any) -> Item:
    found = {"input_ids": np.array(encoding.ids, np.int64), "token_type_ids": np.array(encoding.type_ids, np.int64)}
    return Item({name: found[name] for name in spec.input_names}, len(encoding.ids))
