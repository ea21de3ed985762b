"""A backend and a task that need no model: a text's logits are in the text itself.

    "0.1 2.0 -1"    logits of three classes        "nan"    not a number        "fail"    the backend fails
    "slow"          waits until it is let go        "long"    a text that was cut

The real ones have tests of their own; here it is about what servers do with what comes of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from classifier_runtime.core import scoring
from classifier_runtime.core.job import Classified, Entity, Floats, Instance, Item, Outcome, Tagged, Token, always
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.serving import Facts
from classifier_runtime.errors import InvalidRequest, ModelFailed
from classifier_runtime.server import Loaded
from classifier_runtime.tasks.base import Encoded

NAMED = Labels(("NEGATIVE", "POSITIVE", "NEUTRAL"), "named")
TAGS = Labels(("O", "B-PER", "B-LOC"), "named")
SEQUENCE = Facts("text-classification", NAMED)
MULTI = Facts("text-classification", NAMED, "multi_label_classification")
ONE = Facts("text-classification", Labels(("SPAM",), "named"))
REGRESSION = Facts("text-classification", Labels(("LABEL_0",), "default"), "regression")
PLANE = Facts("text-classification", Labels(("x", "y"), "named"), "regression")
TOKENS = Facts("token-classification", TAGS)
IMAGES = Facts("image-classification", NAMED)


def _logits(text: str, classes: int) -> list[float]:
    words = text.split()
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    return (found + [0.0] * classes)[:classes]


@dataclass
class TextBackend:
    """:ivar go: "slow" waits for it
    :ivar seen: items of each batch
    """

    classes: int = 3
    name: str = "in-test"
    device: str = "cpu"
    go: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    seen: list[int] = field(default_factory=list)

    def forward(self, items: Sequence[Item]) -> Sequence[Floats]:
        self.seen.append(len(items))
        rows = []
        for item in items:
            word = bytes(item.arrays["text"].astype(np.uint8)).decode()
            if word == "fail":
                raise ModelFailed("the model failed; the log says why")
            if word == "slow":
                self.entered.set()
                assert self.go.wait(20)
            rows.append(item.arrays["logits"].astype(np.float32))
        return rows

    def cost(self, items: int, longest: int, tokens: int) -> int:
        return items * longest


class TextTask:
    """Sequences, numbers and images: of an image the first bytes are its text. Tokens: each word is one."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    @property
    def name(self) -> str:
        return self._facts.task

    def check(self, instance: Instance) -> None:
        if (instance.image is not None) != self._facts.images:
            raise InvalidRequest("this model reads " + ("images" if self._facts.images else "texts"))

    def encode(self, instances: Sequence[Instance], go_on: Callable[[], None] = always) -> Encoded[None]:
        basic = [one.text or "" for one in instances if not one.options.enhanced]
        longest = max((len(text.split()) for text in basic), default=0)
        items = [self._item(instance, 0 if instance.options.enhanced else longest) for instance in instances]
        return Encoded(items, None, sum(instance.text == "long" for instance in instances))

    def _item(self, instance: Instance, longest: int) -> Item:
        """:param longest: words to which tokens are padded: with such of class 0"""
        text = instance.text if instance.text is not None else (instance.image or b"").decode("latin-1")
        classes = len(instance.options.candidate_labels) or len(self._facts.labels)
        if self._facts.tokens:
            words = ["0", *text.split(), "0"]
            words += ["0"] * (longest + 2 - len(words))
            logits = np.array([[4.0 if c == int(word) else 0.0 for c in range(classes)] for word in words])
        else:
            logits = np.array(_logits(text, classes))
            if text == "nan":
                logits[0] = np.nan
        arrays: dict[str, NDArray[np.int64] | NDArray[np.float32]] = {
            "text": np.frombuffer(text.encode(), np.uint8).astype(np.int64),
            "logits": logits.astype(np.float32),
        }
        return Item(arrays, tokens=max(1, len(text.split())))

    def decode(self, instances: Sequence[Instance], encoded: Encoded[None], logits: Sequence[Floats]) -> list[Outcome]:
        return [self._outcome(instance, row) for instance, row in zip(instances, logits, strict=True)]

    def _outcome(self, instance: Instance, logits: Floats) -> Outcome:
        if not np.isfinite(logits).all():
            raise ModelFailed("the model gave logits that are not numbers")
        options, facts = instance.options, self._facts
        classes = logits.shape[-1]
        scores = scoring.apply(options.function_to_apply or scoring.function_for(facts.problem, classes), logits)
        if facts.tokens:
            return self._tagged(instance, logits, scores)
        labels = Labels(options.candidate_labels, "named") if options.candidate_labels else facts.labels
        threshold = options.threshold
        if facts.multi_label and threshold is None and options.top_k is None:
            threshold = scoring.MULTI_LABEL_THRESHOLD
        every = facts.multi_label or bool(options.candidate_labels)
        top_k = options.top_k if options.top_k is not None else 0 if every else 1
        return Classified(
            int(scoring.ranked(logits)[0]), scoring.chosen(scores, labels, top_k, threshold), scores, logits
        )

    def _tagged(self, instance: Instance, logits: Floats, scores: Floats) -> Tagged:
        ids = logits.argmax(-1)
        words = (instance.text or "").split()
        found: list[Token] = []
        offsets, at = [(0, 0)], 0
        for place, word in enumerate(words, 1):
            offsets.append((at, at + len(word)))
            number = int(ids[place])
            label = self._facts.labels[number]
            if label not in instance.options.ignore_labels:
                found.append(Token(number, label, float(scores[place, number]), word, place, at, at + len(word)))
            at += len(word) + 1
        special = np.ones(len(ids), np.bool_)
        special[1 : len(words) + 1] = False
        offsets += [(0, 0)] * (len(ids) - len(offsets))
        grouped = tuple(Entity(one.label[2:], one.score, one.word, one.start, one.end) for one in found)
        return Tagged(
            ids,
            grouped if instance.options.aggregation_strategy != "none" else tuple(found),
            scores,
            logits,
            np.array(offsets),
            special,
        )


def loaded(facts: Facts = SEQUENCE, backend: TextBackend | None = None, *, queue_tokens: int = 1_000_000) -> Loaded:
    """What a server's `load` gives."""
    return Loaded(facts, TextTask(facts), backend or TextBackend(len(facts.labels)), 512, queue_tokens)
