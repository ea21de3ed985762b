"""What V1 answers on one instance: KServe's numbers and dicts in basic mode, labels and scores in enhanced mode.

Pure. KServe's own code for the basic shapes is `huggingfaceserver/encoder_model.py`, `_process_*_classification`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from classifier_runtime.core.job import Classified, Floats, Instance, Outcome, Scored, Tagged, Token
from classifier_runtime.core.options import Options
from classifier_runtime.core.serving import Facts

_KSERVE_DECIMALS = 4


def predictions(instances: Sequence[Instance], outcomes: Sequence[Outcome], facts: Facts) -> list[Any]:
    """One for each instance."""
    return [
        _of_tokens(outcome, instance.options, facts)
        if isinstance(outcome, Tagged)
        else _of_class(outcome, instance.options, facts)
        for instance, outcome in zip(instances, outcomes, strict=True)
    ]


def offset_mapping(instances: Sequence[Instance], outcomes: Sequence[Outcome]) -> Mapping[str, Any] | None:
    """KServe's further output, of `--return_offsets_mapping`; None where an answer is not in basic mode."""
    if any(instance.options.enhanced for instance in instances):
        return None
    rows = [outcome.offsets for outcome in outcomes if isinstance(outcome, Tagged)]
    return {
        "name": "offset_mapping",
        "datatype": "INT64",
        "shape": [len(rows), max(map(len, rows), default=0), 2],
        "data": [number for row in rows for pair in row.tolist() for number in pair],
    }


def scored(one: Scored) -> dict[str, Any]:
    return {"id": one.id, "label": one.label, "score": one.score}


# -- sequences, pairs, images, zero-shot -------------------------------------------------------------------------------


def _of_class(outcome: Classified, options: Options, facts: Facts) -> Any:
    if options.enhanced:
        return _with_labels(outcome, options, facts)
    if options.return_raw_logits:
        return dict(zip(_keys(len(outcome.logits)), outcome.logits.tolist(), strict=True))
    if options.return_probabilities:
        return dict(zip(_keys(len(outcome.scores)), _rounded(outcome.scores), strict=True))
    if facts.scalar and not options.candidate_labels:
        values = outcome.scores.tolist()
        return values[0] if len(values) == 1 else values
    return outcome.id


def _with_labels(outcome: Classified, options: Options, facts: Facts) -> Any:
    names = options.candidate_labels or facts.labels.names
    answer: Any
    if facts.regression and not options.candidate_labels:
        rows = _by_id(outcome.scores, names)
        answer = rows[0] if len(rows) == 1 else rows
    elif facts.multi_label or options.candidate_labels or options.limited:
        answer = [scored(one) for one in outcome.chosen]
    else:
        answer = scored(outcome.chosen[0])
    more: dict[str, Any] = {}
    if options.return_probabilities:
        more["probabilities"] = _by_id(outcome.scores, names)
    if options.return_raw_logits:
        more["logits"] = outcome.logits.tolist()
    return _joined(answer, more)


def _by_id(scores: Floats, names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"id": number, "label": label, "score": score}
        for number, (label, score) in enumerate(zip(names, scores.tolist(), strict=True))
    ]


def _joined(answer: Any, more: dict[str, Any]) -> Any:
    if not more:
        return answer
    return {**answer, **more} if isinstance(answer, dict) else {"predictions": answer, **more}


# -- tokens ------------------------------------------------------------------------------------------------------------


def _of_tokens(outcome: Tagged, options: Options, facts: Facts) -> Any:
    if options.enhanced:
        return _found(outcome, options, facts)
    if options.return_raw_logits:
        return _rows(outcome.logits.tolist())
    if options.return_probabilities:
        return _rows(_rounded(outcome.scores))
    return [outcome.ids.tolist()]


def _found(outcome: Tagged, options: Options, facts: Facts) -> Any:
    answer: list[dict[str, Any]] = []
    places: list[int] = []
    for one in outcome.found:
        entry: dict[str, Any] = {"label": one.label, "score": one.score, "word": one.word}
        if isinstance(one, Token):
            places.append(one.index)
            entry = {"id": one.id, **entry, "index": one.index}
        answer.append({**entry, "start": one.start, "end": one.end})
    more: dict[str, Any] = {}
    if options.return_probabilities:
        more["probabilities"] = [_by_id(row, facts.labels.names) for row in outcome.scores[places]]
    if options.return_raw_logits:
        more["logits"] = outcome.logits[places].tolist()
    return _joined(answer, more)


def _rows(rows: Sequence[Sequence[float]]) -> list[dict[str, float]]:
    return [dict(zip(_keys(len(row)), row, strict=True)) for row in rows]


def _rounded(scores: Floats) -> Any:
    return np.round(scores.astype(np.float64), _KSERVE_DECIMALS).tolist()


@lru_cache(maxsize=64)
def _keys(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))
