"""What backends are given in tests: texts of mixed lengths, as a model's own tokenizer has them, or images."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np

from classifier_runtime.core.job import Floats, Item
from classifier_runtime.model import ModelSpec, read
from tests.runtime import tiny
from tests.runtime.tiny_tokenizers import WORDS

TEXTS: Final = (
    "good",
    "Angela Merkel lives in Berlin, and the food was awful!",
    " ".join(WORDS[:300]),  # longer than any of the models takes
    "très bon café",
    " ".join(WORDS[20:45]),
)


@cache
def spec(name: str) -> ModelSpec:
    return read(tiny.model(name))


@cache
def tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny.model(name))


def items(name: str) -> list[Item]:
    if spec(name).task == "image-classification":
        return [Item({"pixel_values": image}, 1) for image in images(3)]
    return [item(name, text) for text in TEXTS]


def item(name: str, text: str, pair: str | None = None) -> Item:
    encoded = tokenizer(name)(text, pair, truncation=True)
    return of_ids(**{key: np.array(encoded[key]) for key in spec(name).input_names})


def of_ids(input_ids: Any, **more: Any) -> Item:
    return Item({"input_ids": np.asarray(input_ids, np.int64), **more}, len(input_ids))


def images(count: int) -> Floats:
    return np.random.default_rng(5).standard_normal((count, 3, 32, 32), np.float32)


def same(found: Any, expected: Any, within: float) -> None:
    """All arrays, each of the same shape, within so much of one (of the largest, where logits are beyond one)."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=within * max(1.0, float(np.abs(other).max())))
