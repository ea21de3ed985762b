"""How many values an answer has: to make it takes memory for all of them, some 200 bytes for each in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from classifier_runtime.core.job import Instance, Outcome, Tagged
from classifier_runtime.core.options import Options

LABELLED: Final = 3
"""An id, a label and a score."""
_OF_TOKEN: Final = 7
"""Further a word, an index, a start and an end."""


def numbers(instances: Sequence[Instance], outcomes: Sequence[Outcome], labelled: int = LABELLED) -> int:
    """Of the answer on all instances.

    :param labelled: how many values stand for a class where labels are asked for
    """
    return sum(_of(instance.options, outcome, labelled) for instance, outcome in zip(instances, outcomes, strict=True))


def _of(options: Options, outcome: Outcome, labelled: int) -> int:
    each = labelled if options.enhanced else 1
    rows = (each if options.return_probabilities else 0) + (1 if options.return_raw_logits else 0)
    classes = int(outcome.scores.shape[-1]) * rows
    if isinstance(outcome, Tagged):
        return len(outcome.found) * (_OF_TOKEN + classes) if options.enhanced else len(outcome.ids) * (1 + classes)
    return (len(outcome.chosen) * each if options.enhanced else 1) + classes
