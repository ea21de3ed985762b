"""What logits of classes are answered with: of texts, of pairs and of images, a whole batch at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from classifier_runtime.core import scoring
from classifier_runtime.core.job import Classified, Floats, Scored
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.options import Function, Options
from classifier_runtime.core.scoring import MULTI_LABEL_THRESHOLD, Problem


def classified(options: Sequence[Options], logits: Floats, labels: Labels, problem: Problem | None) -> list[Classified]:
    """One outcome for each row.

    :param logits: [n, C]
    """
    if not options:
        return []
    scores = _scores(options, logits, scoring.function_for(problem, len(labels)))
    # By logits: a score can be the same 1.0 for several.
    best = logits.argmax(axis=-1).tolist()
    return [
        Classified(winner, _chosen(asked, row, winner, labels, problem), row, of_model)
        for asked, row, winner, of_model in zip(options, scores, best, logits, strict=True)
    ]


def _scores(options: Sequence[Options], logits: Floats, default: Function) -> Floats:
    places: dict[Function, list[int]] = defaultdict(list)
    for place, asked in enumerate(options):
        places[asked.function_to_apply or default].append(place)
    if len(places) == 1:
        return scoring.apply(next(iter(places)), logits)
    scores = np.empty_like(logits)
    for function, rows in places.items():
        scores[rows] = scoring.apply(function, logits[rows])
    return scores


def _chosen(
    options: Options, scores: Floats, winner: int, labels: Labels, problem: Problem | None
) -> tuple[Scored, ...]:
    """Where nobody said how many: the best class; of a multi-label model those that are likelier than not; and of a
    regression all, in the model's order, for they are no rivals.
    """
    top_k, threshold = options.top_k, options.threshold
    if top_k is None and threshold is None:
        if problem == "regression":
            return tuple(Scored(number, labels[number], score) for number, score in enumerate(scores.tolist()))
        if problem != "multi_label_classification" or len(labels) == 1:
            return (Scored(winner, labels[winner], scores[winner].item()),)
        if options.function_to_apply is None:
            threshold = MULTI_LABEL_THRESHOLD
    return scoring.chosen(scores, labels, top_k or 0, threshold)
