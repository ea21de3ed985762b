"""Rows of different lengths as one tensor: padded to the widest, beside how many of each are real."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from classifier_runtime.core.job import Ints

N = TypeVar("N", np.float32, np.int64)

NO_ID: Final = -1
NO_SCORE: Final = 0.0
NO_LABEL: Final = ""


def lengths(rows: Sequence[Sequence[Any] | NDArray[Any]]) -> Ints:
    return np.fromiter(map(len, rows), np.int64, len(rows))


def numbers(rows: Sequence[Sequence[float]], fill: float, kind: type[N]) -> NDArray[N]:
    """[rows, widest]"""
    counts = lengths(rows)
    flat = np.fromiter(chain.from_iterable(rows), kind, int(counts.sum()))
    return _placed(flat, counts, fill)


def arrays(rows: Sequence[NDArray[N]], fill: float, empty: NDArray[N]) -> NDArray[N]:
    """[rows, widest, …]

    :param empty: what a row with nothing in it is like
    """
    return _placed(np.concatenate([empty, *rows]), lengths(rows), fill)


def _placed(flat: NDArray[N], counts: Ints, fill: float) -> NDArray[N]:
    widest = int(counts.max(initial=0))
    found = np.full((len(counts), widest, *flat.shape[1:]), fill, flat.dtype)
    found[np.arange(widest) < counts[:, None]] = flat
    return found


def texts(rows: Sequence[Sequence[str]], fill: str = NO_LABEL) -> tuple[list[str], tuple[int, int]]:
    """In row-major order, and their shape."""
    widest = max(map(len, rows), default=0)
    return [text for row in rows for text in chain(row, repeat(fill, widest - len(row)))], (len(rows), widest)
