"""What a model's files of weights say of it, read without loading any: format, dtype, and how many classes.

The head's shape is the one truth on the number of classes: `id2label` may name fewer, more, or others.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final, Literal

from classifier_runtime import verdict
from classifier_runtime.errors import ModelRefused

Format = Literal["safetensors", "pickle", "openvino"]
OPENVINO: Final = "openvino_model.xml"

# The last layer's weight [classes, hidden], by the names that transformers' classes have for it; the first one counts.
HEADS: Final = (
    "classifier.out_proj.weight",  # RoBERTa, XLM-R, ELECTRA: `classifier` is two layers there
    "classification_head.out_proj.weight",  # BART
    "classifier.weight",  # BERT, DistilBERT, ALBERT, DeBERTa, ModernBERT; ViT, Swin, ConvNeXt
    "classifier.1.weight",  # ResNet, RegNet
    "cls_classifier.weight",  # DeiT with a teacher
    "score.weight",  # decoders
    "logits_proj.weight",  # XLNet
    "sequence_summary.summary.weight",  # XLM
)
DTYPES: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
# safetensors' own limit on a header: more is no header.
MAX_HEADER: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Of a model's folder.

    :param dtype: of most of the weights; None where only the weights would tell
    :param classes: None where only the weights would tell
    """

    format: Format
    dtype: str | None = None
    classes: int | None = None


def checkpoint(folder: Path) -> Checkpoint:
    """:raises ModelRefused: no weights, or a file that is cut or none"""
    files = weights(folder)
    if files and files[0].suffix == ".safetensors":
        return _safetensors(files)
    if (folder / OPENVINO).is_file():
        found = verdict.read(folder)
        return Checkpoint("openvino", "float32", found.classes if found else None)
    if files:
        return Checkpoint("pickle")
    raise ModelRefused(
        f"{folder}: no weights; expected model.safetensors, or {OPENVINO} as `classifier_runtime export` writes it"
    )


def weights(folder: Path) -> list[Path]:
    """The files of the model's own weights, of the format that is preferred; none where an export is alone.

    :raises ModelRefused: some are missing
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    return _shards(index) if index.is_file() else sorted(folder.glob("pytorch_model*.bin"))


def _shards(index: Path) -> list[Path]:
    said = json.loads(index.read_text(encoding="utf-8"))
    names = sorted(set(said.get("weight_map", {}).values()))
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing or not names:
        raise ModelRefused(f"{index}: {', '.join(missing) or 'every file'} of it is missing; copy the whole model")
    return [index.parent / name for name in names]


def _safetensors(files: list[Path]) -> Checkpoint:
    tensors: dict[str, Mapping[str, Any]] = {}
    for file in files:
        tensors |= header(file)[0]
    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        sizes[tensor["dtype"]] += prod(tensor["shape"])
    most = sizes.most_common(1)[0][0] if sizes else ""
    head = next((tensors[name] for name in HEADS if name in tensors), None)
    return Checkpoint("safetensors", DTYPES.get(most), int(head["shape"][0]) if head else None)


def header(file: Path) -> tuple[dict[str, Mapping[str, Any]], int]:
    """What a safetensors file says of its tensors, and where they begin.

    By the format's description: the length as 8 bytes little-endian, then JSON.

    :raises ModelRefused: a file that is cut or none
    """
    with file.open("rb") as stream:
        try:
            (length,) = struct.unpack("<Q", stream.read(8))
            # More than the limit is no header: what is read of it is not JSON.
            said = json.loads(stream.read(min(length, MAX_HEADER)))
            end = max((tensor["data_offsets"][1] for name, tensor in said.items() if name != "__metadata__"), default=0)
        except (struct.error, ValueError, KeyError, TypeError, AttributeError):
            raise ModelRefused(f"{file} is no safetensors file; copy it again") from None
    if file.stat().st_size < 8 + length + end:
        raise ModelRefused(f"{file} is cut: it ends before its weights do; copy it again")
    said.pop("__metadata__", None)
    return dict(said), 8 + length
