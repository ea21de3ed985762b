"""KServe's texts for what it has no tensors for: a Python dict of each row, written as Python writes it."""

from __future__ import annotations

from typing import Final

import numpy as np

from classifier_runtime.core.job import Floats

BASIC: Final = "output-0"
_DECIMALS: Final = 4


def as_dicts(rows: Floats, *, rounded: bool = False) -> list[str]:
    """[B, C] as B of `{0: 0.3362, 1: 0.6638}`.

    :param rounded: to KServe's four decimals; its logits are not
    """
    values = rows.astype(np.float64)
    if rounded:
        values = np.round(values, _DECIMALS)
    return [str(dict(enumerate(row))) for row in values.tolist()]
