"""Sentences of film reviews with labels, and the parts that a model is trained on and judged by."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SOURCE: Final = "rotten_tomatoes"
LABELS: Final = ("NEGATIVE", "POSITIVE")
"""By id, as the reviews have it."""


@dataclass(frozen=True)
class Review:
    """One, with the id of its label."""

    text: str
    label: int


@dataclass(frozen=True)
class Parts:
    """No text is in both."""

    training: tuple[Review, ...]
    held_out: tuple[Review, ...]


def read(lines: Iterable[str]) -> list[Review]:
    """The sentences of a CSV with columns `text`, `label` and `source`; IMDB's reviews, ten times as long, are not."""
    return [Review(row["text"], int(row["label"])) for row in csv.DictReader(lines) if row["source"] == SOURCE]


def split(reviews: list[Review], held_out: int, *, seed: int = 0) -> Parts:
    """At random, and always the same. Of the held out ones those go that are in the training part, too."""
    mixed = random.Random(seed).sample(reviews, len(reviews))
    training = mixed[held_out:]
    known = {review.text for review in training}
    return Parts(tuple(training), tuple(review for review in mixed[:held_out] if review.text not in known))
