"""Tensors that answer on the tokens of texts: `output-0` as KServe gives it, and the named ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from classifier_runtime.core.job import Entity, Floats, Tagged, Token
from classifier_runtime.core.options import Options
from classifier_runtime.core.serving import Facts
from classifier_runtime.errors import InvalidRequest
from classifier_runtime.protocols import v2_ragged as ragged
from classifier_runtime.protocols.v2_text import BASIC, as_dicts
from classifier_runtime.protocols.v2_types import Output, Wanted

NAMES: Final = ("label_ids", "labels", "scores", "words", "offsets", "counts", "probabilities", "logits")
OFFSET_MAPPING: Final = "offset_mapping"


@dataclass(frozen=True, slots=True)
class Tags:
    """Answers of one request."""

    outcomes: Sequence[Tagged]
    options: Options
    facts: Facts

    @property
    def found(self) -> list[tuple[Token, ...] | tuple[Entity, ...]]:
        return [outcome.found for outcome in self.outcomes]

    def of_found(self, values: Sequence[Floats]) -> Floats:
        """[B, N, C] of [L, C] of all tokens."""
        rows = [
            each[[one.index for one in outcome.found if isinstance(one, Token)]]
            for each, outcome in zip(values, self.outcomes, strict=True)
        ]
        return ragged.arrays(rows, ragged.NO_SCORE, np.empty((0, len(self.facts.labels)), np.float32))


def usual(options: Options) -> list[str]:
    """Enhanced outputs where none are asked for by name."""
    names = ["label_ids"] if options.aggregation_strategy == "none" else []
    names += ["labels", "scores", "words", "offsets", "counts"]
    if options.return_probabilities:
        names.append("probabilities")
    if options.return_raw_logits:
        names.append("logits")
    return names


def check(wanted: Wanted, options: Options) -> None:
    """:raises InvalidRequest: tokens, or entities, have no such thing"""
    name = wanted.name
    if wanted.classes:
        raise InvalidRequest(f"outputs: classification of {name!r}: a text has many tokens, each with its class")
    if name in ("label_ids", "probabilities", "logits") and options.aggregation_strategy != "none":
        raise InvalidRequest(f"outputs: {name!r}: of tokens, not of entities; ask for aggregation_strategy: none")


def tensor(name: str, answer: Tags) -> Output:
    """:param name: of `NAMES`, or `output-0`, or `offset_mapping`"""
    rows = answer.found
    match name:
        case "output-0":
            return _basic(answer)
        case "offset_mapping":
            places = ragged.arrays([one.offsets for one in answer.outcomes], 0, np.empty((0, 2), np.int64))
            return Output(name, "INT64", places.shape, places)
        case "label_ids":
            ids = [[one.id for one in row if isinstance(one, Token)] for row in rows]
            found = ragged.numbers(ids, ragged.NO_ID, np.int64)
            return Output(name, "INT64", found.shape, found)
        case "labels":
            texts, shape = ragged.texts([[one.label for one in row] for row in rows])
            return Output(name, "BYTES", shape, texts)
        case "words":
            texts, shape = ragged.texts([[one.word for one in row] for row in rows])
            return Output(name, "BYTES", shape, texts)
        case "scores":
            scores = ragged.numbers([[one.score for one in row] for row in rows], ragged.NO_SCORE, np.float32)
            return Output(name, "FP32", scores.shape, scores)
        case "offsets":
            ends = [np.array([(one.start, one.end) for one in row], np.int64).reshape(-1, 2) for row in rows]
            offsets = ragged.arrays(ends, 0, np.empty((0, 2), np.int64))
            return Output(name, "INT64", offsets.shape, offsets)
        case "probabilities" | "logits":
            values = answer.of_found([getattr(one, _FIELDS[name]) for one in answer.outcomes])
            return Output(name, "FP32", values.shape, values)
    counts = ragged.lengths(rows)
    return Output(name, "INT64", counts.shape, counts)


_FIELDS: Final = {"probabilities": "scores", "logits": "logits"}


def _basic(answer: Tags) -> Output:
    """KServe's ids are [B, 1, L], its dicts [B, L]. Basic answers are of one length; beside labels ids are padded."""
    options = answer.options
    outcomes = answer.outcomes
    dicts = not options.enhanced and (options.return_raw_logits or options.return_probabilities)
    if not dicts:
        ids = ragged.arrays([one.ids for one in outcomes], ragged.NO_ID, np.empty(0, np.int64))[:, None, :]
        return Output(BASIC, "INT64", ids.shape, ids)
    if options.return_raw_logits:
        rows = [as_dicts(one.logits) for one in outcomes]
    else:
        rows = [as_dicts(one.scores, rounded=True) for one in outcomes]
    texts, shape = ragged.texts(rows)
    return Output(BASIC, "BYTES", shape, texts)
