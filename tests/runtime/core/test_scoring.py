"""From logits to scores, held against torch where there is one rule, and against the rules of pipelines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from classifier_runtime.core import scoring
from classifier_runtime.core.job import Floats
from classifier_runtime.core.labels import Labels
from classifier_runtime.errors import ModelFailed

LOGITS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6), elements=st.floats(-90, 90, width=32)
)
ABC = Labels(("a", "b", "c"), "named")


@given(LOGITS)
def test_scores_are_what_torch_computes(logits: Floats) -> None:
    tensor = torch.from_numpy(logits)
    assert np.allclose(scoring.apply("softmax", logits), tensor.softmax(-1).numpy(), atol=1e-6)
    assert np.allclose(scoring.apply("sigmoid", logits), tensor.sigmoid().numpy(), atol=1e-6)
    assert scoring.apply("none", logits) is logits


@given(hnp.arrays(np.float32, (2, 3), elements=st.floats(allow_nan=False, allow_infinity=False, width=32)))
def test_no_logit_is_too_large(logits: Floats) -> None:
    with np.errstate(over="ignore", under="ignore"):
        for function in ("softmax", "sigmoid"):
            found = scoring.apply(function, logits)
            assert found.dtype == np.float32
            assert np.isfinite(found).all()
            assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize(
    ("problem", "classes", "function"),
    [
        ("regression", 1, "none"),
        ("regression", 3, "none"),
        ("multi_label_classification", 3, "sigmoid"),
        ("single_label_classification", 3, "softmax"),
        ("single_label_classification", 1, "sigmoid"),
        (None, 3, "softmax"),
        (None, 1, "sigmoid"),
    ],
)
def test_the_problem_type_says_what_makes_scores_of_logits(
    problem: scoring.Problem | None, classes: int, function: str
) -> None:
    assert scoring.function_for(problem, classes) == function


def test_the_best_come_first_and_equal_ones_by_id() -> None:
    scores = np.array([0.25, 0.5, 0.25], np.float32)
    assert [(one.id, one.label) for one in scoring.chosen(scores, ABC, 0, None)] == [(1, "b"), (0, "a"), (2, "c")]


@pytest.mark.parametrize(
    ("top_k", "threshold", "ids"), [(1, None, [1]), (9, None, [1, 0, 2]), (2, 0.3, [1]), (0, 0.9, [])]
)
def test_the_best_so_many_and_of_those_the_ones_above_the_threshold(
    top_k: int, threshold: float | None, ids: list[int]
) -> None:
    scores = np.array([0.25, 0.5, 0.25], np.float32)
    assert [one.id for one in scoring.chosen(scores, ABC, top_k, threshold)] == ids


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_nobodys_score(value: float) -> None:
    with pytest.raises(ModelFailed, match="instance 7: "):
        scoring.check(np.array([[1.0, 0.0], [0.0, value]], np.float32), [4, 7])
