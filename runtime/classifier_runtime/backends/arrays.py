"""From items to one array for each input of a model, and back from its logits to the items'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from classifier_runtime.core.job import Floats, Ints, Item
from classifier_runtime.errors import ModelFailed
from classifier_runtime.families import TYPES
from classifier_runtime.model import ModelSpec


def lengths(items: Sequence[Item]) -> list[int]:
    """Tokens of each text."""
    return [len(item.arrays["input_ids"]) for item in items]


def check(spec: ModelSpec, items: Sequence[Item]) -> None:
    """On the host, before a device sees it: CUDA answers an index out of range with an error that ends the process.

    :raises ModelFailed: ids that the model does not have, which is a tokenizer of another model; or too many
    """
    if "input_ids" not in spec.input_names:
        return
    vocabulary = spec.config.get("vocab_size")
    for item in items:
        ids = item.arrays["input_ids"]
        if not 0 < len(ids) <= spec.max_tokens:
            raise ModelFailed(f"{len(ids)} tokens, and the model takes 1 to {spec.max_tokens}")
        if ids.min() < 0 or (vocabulary is not None and ids.max() >= vocabulary):
            raise ModelFailed(
                f"the tokenizer gives id {ids.max()}, and the model has {vocabulary}: they do not belong together"
            )
        kinds = spec.config.get("type_vocab_size", TYPES.get(spec.model_type, 2))
        types = item.arrays.get("token_type_ids") if "token_type_ids" in spec.input_names else None
        if types is not None and not 0 <= types.min() <= types.max() < kinds:
            raise ModelFailed(f"the tokenizer gives type {types.max()}, and the model has {kinds} types")


def pad(spec: ModelSpec, items: Sequence[Item], longest: int) -> dict[str, Ints]:
    """Every text as long as the longest: its inputs, and `attention_mask`.

    An item that brings an `attention_mask` of its own is padded already, and so as its task wants it.
    """
    shape = (len(items), longest)
    batch = {
        name: np.full(shape, (spec.pad_id or 0) if name == "input_ids" else 0, np.int64) for name in spec.input_names
    }
    mask = batch["attention_mask"] = np.zeros(shape, np.int64)
    for row, item in enumerate(items):
        count = len(item.arrays["input_ids"])
        place = slice(longest - count, longest) if spec.pad_left else slice(count)
        for name in spec.input_names:
            if (values := item.arrays.get(name)) is not None:
                batch[name][row, place] = values
        mask[row, place] = item.arrays.get("attention_mask", 1)
    return batch


def unpad(spec: ModelSpec, counts: Sequence[int], logits: Floats) -> list[Floats]:
    """Of each item: [C], or its own tokens' [tokens, C]."""
    if spec.task != "token-classification":
        return list(logits)
    longest = logits.shape[1]
    return [row[longest - count :] if spec.pad_left else row[:count] for row, count in zip(logits, counts, strict=True)]


def images(items: Sequence[Item]) -> Mapping[str, Floats]:
    return {"pixel_values": np.stack([item.arrays["pixel_values"] for item in items]).astype(np.float32, copy=False)}
