"""How a batch is laid out as an exported model's inputs, and where each item's logits are in what comes back.

Which layout a model was exported with is told by the names of its inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise
from typing import Final, Protocol, TypeAlias

import numpy as np

from classifier_runtime.backends import arrays
from classifier_runtime.core.job import Floats, Ints, Item
from classifier_runtime.families import OFFSET_POSITIONS
from classifier_runtime.model import ModelSpec

Inputs: TypeAlias = dict[str, Ints | Floats]

# OpenVINO compiles for each new shape and keeps what it made: a process that sees all lengths grows without end. In
# steps of 16 there are few enough (measured: 379 MB where it were 1,419), for 8 tokens of padding on average.
STEP: Final = 16
# A row's length is the only shape that its large products see, so there are few of them even in finer steps; and a text
# that comes alone is mostly short: 8 tokens of 38 are a fifth of its time.
FINE_STEP, FINE_UP_TO = 8, 128
# Places of the grid for each of the row that a batch may have. A place costs attention and copies only, a fourth of a
# token's work at most; but one long text among many short ones is a grid of many times the row.
GRID: Final = 4
# What a key on the padding gets: nothing is left of it after softmax, and no precision takes it for infinite.
_NEVER: Final = -1e4

ROW: Final = ("position_ids", "grid", "back", "keys", "first")
"""Inputs of a model that was exported for rows, beside those that its tokenizer makes."""


class Layout(Protocol):
    """Of a model's inputs and outputs."""

    def inputs(self, items: Sequence[Item]) -> Inputs: ...

    def outputs(self, items: Sequence[Item], logits: Floats) -> Sequence[Floats]:
        """Of each item: [C], or [tokens, C]."""
        ...

    def cost(self, items: int, longest: int, tokens: int) -> int:
        """As `Backend.cost`."""
        ...


def of(spec: ModelSpec, names: Collection[str]) -> Layout | None:
    """That of a model with inputs of these names; None for one that this runtime did not export."""
    found = {*names}
    if spec.task == "image-classification":
        return Images() if found == {*spec.input_names} else None
    if found == {*spec.input_names, *ROW}:
        return Row(spec)
    return Padded(spec) if found == {*spec.input_names, "attention_mask"} else None


class Images:
    """One beside the other."""

    def inputs(self, items: Sequence[Item]) -> Inputs:
        return dict(arrays.images(items))

    def outputs(self, items: Sequence[Item], logits: Floats) -> Sequence[Floats]:
        return list(logits)

    def cost(self, items: int, longest: int, tokens: int) -> int:
        return items * longest


class Padded:
    """Every text as long as the longest, and that is a multiple of `STEP`."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def inputs(self, items: Sequence[Item]) -> Inputs:
        return {**arrays.pad(self._spec, items, self._rounded(max(arrays.lengths(items))))}

    def outputs(self, items: Sequence[Item], logits: Floats) -> Sequence[Floats]:
        return arrays.unpad(self._spec, arrays.lengths(items), logits)

    def cost(self, items: int, longest: int, tokens: int) -> int:
        return items * self._rounded(longest)

    def _rounded(self, tokens: int) -> int:
        return min(_up(tokens, STEP), self._spec.max_tokens or tokens)


class Row:
    """All texts in one row, each behind the other: no layer computes padding but attention, which is a few hundredths
    of the work for texts of common lengths.

    For attention the row is laid into a grid with a line for each text, by `grid`, [texts, longest]: places of the row.
    `keys`, [texts, 1, 1, longest], is added to attention's scores. `back`, [row], says where in the grid each place of
    the row is, and `first`, [texts], where in the row each text begins: that is what a sequence is classified by.

    Row and grid are rounded up. What is over in the row is its first token again, in all inputs: nobody reads it, and
    it is nothing new to who collects ranges for int8.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def inputs(self, items: Sequence[Item]) -> Inputs:
        counts = arrays.lengths(items)
        starts = list(accumulate(counts, initial=0))
        row = rounded(starts[-1])
        texts, longest = self._grid(len(items), max(counts))
        found: Inputs = {name: np.zeros((1, row), np.int64) for name in (*self._spec.input_names, "position_ids")}
        grid = found["grid"] = np.zeros((texts, longest), np.int64)
        back = found["back"] = np.zeros(row, np.int64)
        keys = found["keys"] = np.full((texts, 1, 1, longest), _NEVER, np.float32)
        first = found["first"] = np.zeros(texts, np.int64)
        first[: len(items)] = starts[:-1]
        for line, (item, begin, count) in enumerate(zip(items, starts, counts, strict=False)):
            place = slice(begin, begin + count)
            for name in self._spec.input_names:
                if (values := item.arrays.get(name)) is not None:
                    found[name][0, place] = values
            found["position_ids"][0, place] = positions(self._spec, item.arrays["input_ids"])
            grid[line, :count] = np.arange(begin, begin + count)
            back[place] = np.arange(line * longest, line * longest + count)
            mask = item.arrays.get("attention_mask")
            keys[line, 0, 0, :count] = 0 if mask is None else np.where(mask, 0, _NEVER)
        for name in (*self._spec.input_names, "position_ids"):
            found[name][0, starts[-1] :] = found[name][0, 0]
        return found

    def outputs(self, items: Sequence[Item], logits: Floats) -> Sequence[Floats]:
        if self._spec.task != "token-classification":
            return list(logits[: len(items)])
        starts = list(accumulate(arrays.lengths(items), initial=0))
        return [logits[0, begin:end] for begin, end in pairwise(starts)]

    def cost(self, items: int, longest: int, tokens: int) -> int:
        texts, line = self._grid(items, longest)
        return max(rounded(tokens), -(-texts * line // GRID))

    @staticmethod
    def _grid(texts: int, longest: int) -> tuple[int, int]:
        # A lone text has no line beside it: an empty one would double its attention.
        return _up(texts, 2) if texts > 1 else 1, _up(longest, FINE_STEP)


def rounded(row: int) -> int:
    """The length of the row that holds so many tokens."""
    return _up(row, FINE_STEP if row <= FINE_UP_TO else STEP)


def positions(spec: ModelSpec, ids: Ints | Floats) -> Ints:
    """As the model itself counts them for one text."""
    if spec.model_type not in OFFSET_POSITIONS:
        return np.arange(len(ids))
    pad = spec.pad_id or 0
    # A text may spell out the padding token: such have the padding's place, and the next ones are not moved by it.
    real = ids != pad
    found: Ints = np.cumsum(real) * real + pad
    return found


def _up(count: int, step: int) -> int:
    return -(-count // step) * step
