"""What is computed before a model is ready: OpenVINO compiles for each new shape, and libraries allocate at first use.

Shapes come the most useful first, for as long as a start may take for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from classifier_runtime.core.job import Item

# Lengths that rows, and padded texts, are rounded up to (`layouts`): the finer one for common lengths.
FINE_STEP, STEP = 8, 16
# Most texts that are classified are shorter: of reviews nine in ten are below 70 tokens.
COMMON: Final = 128


class Shape(NamedTuple):
    """Of a batch whose items have as many tokens each."""

    items: int
    tokens: int


def shapes(lengths: Sequence[int], budget: int) -> Iterator[Shape]:
    """A lone item of each common length, as an idle server gets them; full batches of them, as a busy one makes; and
    the longer ones alone.
    """
    common = [length for length in lengths if length <= COMMON] or lengths[:1]
    yield from (Shape(1, length) for length in common)
    yield from (Shape(budget // length, length) for length in common if budget // length > 1)
    yield from (Shape(1, length) for length in lengths[len(common) :])


def lengths(longest: int) -> list[int]:
    """Of texts, up to the longest that the model takes."""
    return [*range(FINE_STEP, min(COMMON, longest), FINE_STEP), *range(COMMON, longest, STEP), longest]


def batch(like: Item, shape: Shape) -> list[Item]:
    """Items of a shape, made of a real one whose middle is repeated: its first and last tokens are what the model
    expects there. An image is as large as all are.
    """
    if like.tokens == shape.tokens:
        return [like] * shape.items
    last = len(like.arrays["input_ids"]) - 1
    places = np.minimum(np.arange(shape.tokens), min(1, last))
    places[-1] = last
    arrays = {name: values[places] for name, values in like.arrays.items() if name != "attention_mask"}
    return [Item(arrays, shape.tokens)] * shape.items


def within(shapes: Iterable[Shape], seconds: float, clock: Callable[[], float] = time.perf_counter) -> Iterator[Shape]:
    """Those that should be done before time is up, at the best pace so far; and the first in any case."""
    end = clock() + seconds
    pace = 0.0
    for shape in shapes:
        began, tokens = clock(), shape.items * shape.tokens
        if pace and began + pace * tokens > end:
            continue
        yield shape
        taken = (clock() - began) / tokens
        pace = min(pace or taken, taken)
