"""From logits to scores and to the classes that are asked for. NumPy, float32, whole batches at once.

The rules are those of `transformers.pipeline` (its text classification's `__call__` and postprocessing).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from classifier_runtime.core.job import Floats, Ints, Scored
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.options import Function
from classifier_runtime.errors import ModelFailed

Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
PROBLEMS: Final[tuple[Problem, ...]] = ("single_label_classification", "multi_label_classification", "regression")
MULTI_LABEL_THRESHOLD: Final = 0.5


def function_for(problem: Problem | None, classes: int) -> Function:
    """What makes scores of a model's logits, where nobody said what should.

    :param problem: of the model's configuration; None where it says nothing: then a single class is a yes or no
    """
    if problem == "regression":
        return "none"
    if problem == "multi_label_classification" or classes == 1:
        return "sigmoid"
    return "softmax"


def apply(function: Function, logits: Floats) -> Floats:
    """Scores [..., C] of logits [..., C]."""
    if function == "softmax":
        with np.errstate(over="ignore"):  # what is lower by more than float32 can say is a score of 0
            powers: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)
    if function == "sigmoid":
        # The half that does not overflow, for either sign.
        small = np.exp(-np.abs(logits))
        return np.where(logits >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32, copy=False)
    return logits


def check(logits: Floats, instances: Sequence[int] | Ints) -> None:
    """Logits [n, C] are numbers.

    :param instances: of each row, its place in the request
    :raises ModelFailed: they are not; JSON has none such, and nobody should be told one
    """
    numbers = np.isfinite(logits)
    if not numbers.all():
        place = instances[int(numbers.all(axis=-1).argmin())]
        raise ModelFailed(f"instance {place}: the model gave logits that are not numbers")


def ranked(scores: Floats) -> Ints:
    """[..., C] ids, best first; of equal scores the lower id."""
    return np.argsort(-scores, axis=-1, kind="stable")


def chosen(scores: Floats, labels: Labels, top_k: int, threshold: float | None) -> tuple[Scored, ...]:
    """Of one instance, by score.

    :param scores: [C]
    :param top_k: 0 for all; more than there are is all
    :param threshold: after `top_k`
    """
    best = ranked(scores)
    if top_k:
        best = best[:top_k]
    if threshold is not None:
        best = best[scores[best].astype(np.float64) >= threshold]  # 1e300 is a threshold too
    ids = best.tolist()
    return tuple(map(Scored, ids, map(labels.names.__getitem__, ids), scores[best].tolist()))
