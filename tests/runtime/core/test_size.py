"""How large an answer will be is known before it is made."""

from __future__ import annotations

import numpy as np
import pytest

from classifier_runtime.core.job import Classified, Instance, Scored, Tagged, Token
from classifier_runtime.core.options import Options
from classifier_runtime.core.size import numbers

ROW = np.zeros(5, np.float32)
CLASS = Classified(0, (Scored(0, "a", 0.5), Scored(1, "b", 0.5)), ROW, ROW)
ROWS = np.zeros((4, 5), np.float32)
TAGS = Tagged(
    np.zeros(4, np.int64),
    (Token(1, "PER", 0.5, "a", 1, 0, 1),) * 2,
    ROWS,
    ROWS,
    np.zeros((4, 2), np.int64),
    np.zeros(4, np.bool_),
)


@pytest.mark.parametrize(
    ("outcome", "options", "found"),
    [
        (CLASS, Options(), 1),
        (CLASS, Options(return_raw_logits=True), 6),
        (CLASS, Options(id2label=True), 6),
        (CLASS, Options(id2label=True, return_probabilities=True, return_raw_logits=True), 26),
        (TAGS, Options(), 4),
        (TAGS, Options(return_probabilities=True), 24),
        (TAGS, Options(id2label=True), 14),
        (TAGS, Options(id2label=True, return_probabilities=True), 44),
    ],
)
def test_what_was_asked_for_is_counted(outcome: Classified | Tagged, options: Options, found: int) -> None:
    assert numbers([Instance(options)] * 3, [outcome] * 3) == 3 * found
