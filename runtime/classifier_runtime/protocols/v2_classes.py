"""Tensors that answer on sequences, pairs, images and zero-shot: `output-0` as KServe gives it, and the named ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from classifier_runtime.core.job import Classified, Floats, Scored
from classifier_runtime.core.options import Options
from classifier_runtime.core.scoring import ranked
from classifier_runtime.core.serving import Facts
from classifier_runtime.errors import InvalidRequest
from classifier_runtime.protocols import v2_ragged as ragged
from classifier_runtime.protocols.v2_text import BASIC, as_dicts
from classifier_runtime.protocols.v2_types import Output, Wanted

NAMES: Final = ("label_ids", "labels", "scores", "counts", "probabilities", "logits")

Form = Literal["one", "list", "scalar"]


@dataclass(frozen=True, slots=True)
class Classes:
    """Answers of one request.

    :param names: of the classes, or the candidates
    """

    outcomes: Sequence[Classified]
    options: Options
    facts: Facts
    names: Sequence[str]

    @classmethod
    def of(cls, outcomes: Sequence[Classified], options: Options, facts: Facts) -> Classes:
        return cls(outcomes, options, facts, options.candidate_labels or facts.labels.names)

    @property
    def scores(self) -> Floats:
        """[B, C]"""
        return np.array([outcome.scores for outcome in self.outcomes], np.float32).reshape(-1, len(self.names))

    @property
    def logits(self) -> Floats:
        """[B, C]"""
        rows = [outcome.logits for outcome in self.outcomes]
        return np.array(rows, np.float32) if rows else np.empty((0, len(self.names)), np.float32)

    @property
    def chosen(self) -> list[tuple[Scored, ...]]:
        return [outcome.chosen for outcome in self.outcomes]


def form(options: Options, facts: Facts) -> Form:
    """What the answer on one instance is: a class, a list of them, or numbers that are no class's."""
    if options.candidate_labels or facts.multi_label or (options.limited and not facts.regression):
        return "list"
    return "scalar" if facts.scalar else "one"


def usual(options: Options, facts: Facts) -> list[str]:
    """Enhanced outputs where none are asked for by name."""
    names = ["labels", "scores"]
    if form(options, facts) == "list":
        names = ["label_ids", "labels", "scores"]
        if facts.multi_label or options.threshold is not None:
            names.append("counts")
    if options.return_probabilities:
        names.append("probabilities")
    if options.return_raw_logits:
        names.append("logits")
    return names


def check(wanted: Wanted, options: Options, facts: Facts) -> None:
    """:raises InvalidRequest: there are no best classes of this output"""
    if not wanted.classes:
        return
    if facts.scalar and not options.candidate_labels:
        raise InvalidRequest(f"outputs: classification of {wanted.name!r}: the model's answer is a number, not a class")
    if wanted.name == "counts":
        raise InvalidRequest("outputs: classification of 'counts': ask for it of output-0")


def tensor(name: str, answer: Classes) -> Output:
    """:param name: of `NAMES`, or `output-0`"""
    match name:
        case "probabilities":
            return _numbers(name, answer.scores)
        case "logits":
            return _numbers(name, answer.logits)
        case "output-0":
            return _basic(answer)
    shown = form(answer.options, answer.facts)
    return {"one": _of_one, "list": _of_list, "scalar": _of_scalar}[shown](name, answer)


def best(wanted: Wanted, answer: Classes) -> Output:
    """The best classes as Triton's classification extension writes them: `score:id:label`."""
    values = answer.logits if wanted.name == "logits" else answer.scores
    ids = ranked(values)[:, : wanted.classes]
    picked = np.take_along_axis(values, ids, axis=1)
    texts = [
        f"{value:f}:{number}:{answer.names[number]}"
        for number, value in zip(ids.ravel().tolist(), picked.ravel().tolist(), strict=True)
    ]
    return Output(wanted.name, "BYTES", ids.shape, texts)


def _basic(answer: Classes) -> Output:
    options = answer.options
    if not options.enhanced and options.return_raw_logits:
        return Output(BASIC, "BYTES", (len(answer.outcomes),), as_dicts(answer.logits))
    if not options.enhanced and options.return_probabilities:
        return Output(BASIC, "BYTES", (len(answer.outcomes),), as_dicts(answer.scores, rounded=True))
    if answer.facts.scalar and not options.candidate_labels:
        return _of_scalar("scores", answer, BASIC)
    return _ids(BASIC, [outcome.id for outcome in answer.outcomes])


def _of_one(name: str, answer: Classes) -> Output:
    first = [chosen[0] for chosen in answer.chosen]
    match name:
        case "label_ids":
            return _ids(name, [one.id for one in first])
        case "labels":
            return Output(name, "BYTES", (len(first),), [one.label for one in first])
        case "scores":
            return _numbers(name, np.array([one.score for one in first], np.float32))
    return _ids(name, [1] * len(first))


def _of_list(name: str, answer: Classes) -> Output:
    rows = answer.chosen
    match name:
        case "label_ids":
            ids = ragged.numbers([[one.id for one in row] for row in rows], ragged.NO_ID, np.int64)
            return Output(name, "INT64", ids.shape, ids)
        case "labels":
            texts, shape = ragged.texts([[one.label for one in row] for row in rows])
            return Output(name, "BYTES", shape, texts)
        case "scores":
            return _numbers(
                name, ragged.numbers([[one.score for one in row] for row in rows], ragged.NO_SCORE, np.float32)
            )
    counts = ragged.lengths(rows)
    return Output(name, "INT64", counts.shape, counts)


def _of_scalar(name: str, answer: Classes, called: str | None = None) -> Output:
    """One number of each instance is [B]; several are [B, C]."""
    scores = answer.scores
    batch, classes = scores.shape
    shape = (batch,) if classes == 1 else (batch, classes)
    match name:
        case "label_ids":
            ids = np.tile(np.arange(classes, dtype=np.int64), batch).reshape(shape)
            return Output(name, "INT64", shape, ids)
        case "labels":
            return Output(name, "BYTES", shape, list(answer.names) * batch)
        case "scores":
            return _numbers(called or name, scores.reshape(shape))
    return _ids(name, [classes] * batch)


def _numbers(name: str, values: Floats) -> Output:
    return Output(name, "FP32", values.shape, values)


def _ids(name: str, values: list[int]) -> Output:
    return Output(name, "INT64", (len(values),), np.array(values, np.int64))
