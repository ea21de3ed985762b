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

from classifier_runtime.errors import ModelRefused

Format = Literal["safetensors", "pickle", "openvino"]
OPENVINO: Final = "openvino_model.xml"
VERDICT: Final = "verdict.json"

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
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file() or index.is_file():
        return _safetensors([single] if single.is_file() else _shards(index))
    if (folder / OPENVINO).is_file():
        verdict = folder / VERDICT
        said = json.loads(verdict.read_text(encoding="utf-8")) if verdict.is_file() else {}
        return Checkpoint("openvino", "float32", said.get("classes"))
    if any((folder / name).is_file() for name in ("pytorch_model.bin", "pytorch_model.bin.index.json")):
        return Checkpoint("pickle")
    raise ModelRefused(
        f"{folder}: no weights; expected model.safetensors, or {OPENVINO} as `classifier_runtime export` writes it"
    )


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
        tensors |= _header(file)
    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        sizes[tensor["dtype"]] += prod(tensor["shape"])
    most = sizes.most_common(1)[0][0] if sizes else ""
    head = next((tensors[name] for name in HEADS if name in tensors), None)
    return Checkpoint("safetensors", DTYPES.get(most), int(head["shape"][0]) if head else None)


def _header(file: Path) -> dict[str, Mapping[str, Any]]:
    """By the format's description: the length as 8 bytes little-endian, then JSON."""
    with file.open("rb") as stream:
        try:
            (length,) = struct.unpack("<Q", stream.read(8))
            # More than the limit is no header: what is read of it is not JSON.
            header = json.loads(stream.read(min(length, MAX_HEADER)))
            end = max(
                (tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"), default=0
            )
        except (struct.error, ValueError, KeyError, TypeError, AttributeError):
            raise ModelRefused(f"{file} is no safetensors file; copy it again") from None
    if file.stat().st_size < 8 + length + end:
        raise ModelRefused(f"{file} is cut: it ends before its weights do; copy it again")
    header.pop("__metadata__", None)
    return dict(header)
