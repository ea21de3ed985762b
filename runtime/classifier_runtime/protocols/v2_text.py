"""KServe's texts for what it has no tensors for: a Python dict of each row, written as Python writes it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from classifier_runtime.core.job import Floats

BASIC: Final = "output-0"
# KServe rounds scores to four decimals. There are 10,001 such numbers from 0 to 1, and looking up how one is written
# takes a tenth of the time that writing it takes: 32 rows of 1,000 classes would be 15 ms.
_STEPS: Final = 10_000


def as_dicts(rows: Floats, *, rounded: bool = False) -> list[str]:
    """[B, C] as B of `{0: 0.3362, 1: 0.6638}`.

    :param rounded: to KServe's decimals; its logits are not
    """
    if not rounded:
        return [str(dict(enumerate(row))) for row in rows.tolist()]
    steps = np.rint(rows.astype(np.float64) * _STEPS)
    if steps.size and 0 <= steps.min() <= steps.max() <= _STEPS:
        template = _template(rows.shape[1])
        return [template % tuple(row) for row in _written()[steps.astype(np.int64)].tolist()]
    return [str(dict(enumerate(row))) for row in (steps / _STEPS).tolist()]


@lru_cache(maxsize=64)
def _template(classes: int) -> str:
    return "{" + ", ".join(f"{number}: %s" for number in range(classes)) + "}"


@lru_cache(maxsize=1)
def _written() -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.array([repr(step / _STEPS) for step in range(_STEPS + 1)], np.object_)
