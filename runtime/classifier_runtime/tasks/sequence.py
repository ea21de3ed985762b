"""Classes of texts and of pairs of texts; and zero-shot, which is as many pairs as there are candidates.

One task for both: a model that knows entailment is asked either way, and a request may hold instances of either kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from classifier_runtime.core import scoring
from classifier_runtime.core.job import Classified, Floats, Instance, Item, always
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.options import DEFAULT, Options
from classifier_runtime.core.scoring import Problem
from classifier_runtime.core.tokens import Encoded as Tokens
from classifier_runtime.core.tokens import Text, Tokenizer, clean
from classifier_runtime.errors import InvalidRequest
from classifier_runtime.tasks import zero_shot
from classifier_runtime.tasks.base import Encoded
from classifier_runtime.tasks.classes import classified

# Options that mean nothing here, with what to say of them.
_OF_TOKENS: Final[Mapping[str, str]] = {
    "aggregation_strategy": "entities are found by models for token classification",
    "ignore_labels": "it is for token classification; use threshold or top_k",
    "stride": "it is for token classification; a longer text is cut",
}


@dataclass(frozen=True, slots=True)
class Sequences:
    """`text-classification`.

    :param input_names: the arrays that the model wants
    """

    tokenizer: Tokenizer
    labels: Labels
    problem: Problem | None
    input_names: Sequence[str]

    name = "text-classification"

    def check(self, instance: Instance) -> None:
        options = instance.options
        if instance.text is None:
            raise InvalidRequest("this model classifies texts; send a text, or {text, text_pair}, not an image")
        refuse(options, _OF_TOKENS)
        zero_shot.check(instance, self.labels)

    def encode(self, instances: Sequence[Instance], go_on: Callable[[], None] = always) -> Encoded[Sequence[int]]:
        """Kept is the number of items of each instance."""
        texts: list[Text] = []
        counts: list[int] = []
        for instance in instances:
            pairs = zero_shot.pairs(instance) if instance.options.candidate_labels else [_text(instance)]
            texts.extend(pairs)
            counts.append(len(pairs))
        tokens = self.tokenizer.encode(texts, go_on)
        items = [Item(arrays(one, self.input_names), len(one.ids)) for one in tokens]
        cut = np.array([one.cut for one in tokens])
        # An instance, and not each of its candidates, counts.
        truncated = int(np.logical_or.reduceat(cut, np.cumsum([0, *counts[:-1]])).sum())
        return Encoded(items, counts, truncated)

    def decode(
        self, instances: Sequence[Instance], encoded: Encoded[Sequence[int]], logits: Sequence[Floats]
    ) -> Sequence[Classified]:
        rows = np.stack(logits)
        counts = np.array(encoded.kept)
        scoring.check(rows, np.repeat(np.arange(len(counts)), counts))
        ends = np.cumsum(counts)
        plain = [place for place, one in enumerate(instances) if not one.options.candidate_labels]
        outcomes: dict[int, Classified] = dict(
            zip(
                plain,
                classified(
                    [instances[place].options for place in plain], rows[ends[plain] - 1], self.labels, self.problem
                ),
                strict=True,
            )
        )
        for place, instance in enumerate(instances):
            if place not in outcomes:
                of_candidates = rows[ends[place] - counts[place] : ends[place]]
                outcomes[place] = zero_shot.classified(instance.options, of_candidates, self.labels)
        return [outcomes[place] for place in range(len(instances))]


def arrays(tokens: Tokens, names: Sequence[str]) -> dict[str, np.typing.NDArray[np.int64]]:
    """As the backends take them."""
    if "token_type_ids" in names:
        return {"input_ids": tokens.ids, "token_type_ids": tokens.types}
    return {"input_ids": tokens.ids}


def refuse(options: Options, reasons: Mapping[str, str]) -> None:
    """:raises InvalidRequest: an option is set that has a reason not to be"""
    for name, reason in reasons.items():
        if getattr(options, name) != getattr(DEFAULT, name):
            raise InvalidRequest(f"{name}: {reason}")


def _text(instance: Instance) -> Text:
    options = instance.options
    pair = None if instance.text_pair is None else clean(instance.text_pair)
    return Text(clean(instance.text or ""), pair, truncate=options.truncate, direction=options.truncation_direction)
