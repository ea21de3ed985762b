"""Tokens that are one thing: the aggregation of `transformers.pipeline("token-classification")`, by whole arrays.

Strategies: `simple` joins tokens with the same tag; the others give all tokens of a word one class first, that of the
`first` token, that of the best token (`max`), or that of their mean (`average`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from classifier_runtime.core.job import Entity, Floats, Ints
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.options import Aggregation
from classifier_runtime.core.tokens import Located, Tokenizer


@dataclass(frozen=True, slots=True)
class _Tags:
    """Of each class: what it is called without B- and I-, by a number that equal tags have in common."""

    of_class: Ints
    begins: NDArray[np.bool_]


@lru_cache(maxsize=8)
def _tags(names: tuple[str, ...]) -> _Tags:
    bare = [name[2:] if name.startswith(("B-", "I-")) else name for name in names]
    numbers = {tag: number for number, tag in enumerate(dict.fromkeys(bare))}
    return _Tags(
        np.array([numbers[tag] for tag in bare], dtype=np.int64), np.array([name.startswith("B-") for name in names])
    )


@dataclass(frozen=True, slots=True)
class _Units:
    """What is joined to entities: tokens, or words.

    :param starts: and `ends`: characters
    :param first: and `last`: places of a unit's tokens among those of the window, special ones left out; one beyond
    """

    classes: Ints
    scores: Floats
    starts: Ints
    ends: Ints
    first: Ints
    last: Ints


@dataclass(frozen=True)
class Entities:
    """Finds them, by one strategy."""

    tokenizer: Tokenizer
    labels: Labels
    strategy: Aggregation
    ignored: tuple[str, ...]

    @cached_property
    def _tags(self) -> _Tags:
        return _tags(self.labels.names)

    def found(self, text: str, located: Located, scores: Sequence[Floats]) -> tuple[Entity, ...]:
        """By their place in the text.

        :param scores: [tokens, C] of each window
        """
        entities: list[Entity] = []
        for places, of_window in zip(located.windows, scores, strict=True):
            inside = ~located.special[places]
            entities += self._of_window(text, located, places[inside], of_window[inside])
        return tuple(entities if len(scores) == 1 else _without_overlaps(entities))

    def _of_window(self, text: str, located: Located, places: Ints, scores: Floats) -> list[Entity]:
        if not len(places):
            return []
        offsets = located.offsets[places]
        written = [text[start:end] for start, end in offsets.tolist()]
        tokens = located.tokens.ids[places].tolist()
        unknown = [token == self.tokenizer.unknown for token in tokens]
        words = [
            as_written if no_token else self.tokenizer.token(token)
            for token, as_written, no_token in zip(tokens, written, unknown, strict=True)
        ]
        if self.strategy == "simple":
            return self._grouped(_tokens(scores, offsets), words)
        if self.tokenizer.marks_subwords:
            continues = [len(word) != len(as_written) for word, as_written in zip(words, written, strict=True)]
        else:
            # Tokens do not say whether they begin a word: they do not where there is no space before them.
            continues = [start > 0 and " " not in text[start - 1 : start + 1] for start in offsets[:, 0].tolist()]
        begins = ~np.array(continues) | np.array(unknown)
        begins[0] = True
        return self._grouped(self._words(scores, offsets, begins), words)

    def _words(self, scores: Floats, offsets: Ints, begins: NDArray[np.bool_]) -> _Units:
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(begins))
        of_words: Floats
        if self.strategy == "average":
            sums = np.add.reduceat(scores, first, axis=0)
            of_words = np.asarray(sums / (last - first)[:, None], dtype=np.float32)
        elif self.strategy == "max":
            best = scores.max(axis=-1)
            of_words = scores[[begin + best[begin:end].argmax() for begin, end in zip(first, last, strict=True)]]
        else:
            of_words = scores[first]
        classes = of_words.argmax(axis=-1)
        return _Units(
            classes, of_words[np.arange(len(classes)), classes], offsets[first, 0], offsets[last - 1, 1], first, last
        )

    def _grouped(self, units: _Units, words: Sequence[str]) -> list[Entity]:
        tags = self._tags.of_class[units.classes]
        begins = np.ones(len(tags), dtype=np.bool_)
        begins[1:] = (tags[1:] != tags[:-1]) | self._tags.begins[units.classes[1:]]
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(begins))
        entities = []
        for begin, end in zip(first.tolist(), last.tolist(), strict=True):
            label = self.labels[int(units.classes[begin])].split("-", 1)[-1]
            if label in self.ignored:
                continue
            entities.append(
                Entity(
                    label,
                    float(units.scores[begin:end].mean()),
                    self._word(units, begin, end, words),
                    int(units.starts[begin]),
                    int(units.ends[end - 1]),
                )
            )
        return entities

    def _word(self, units: _Units, begin: int, end: int, words: Sequence[str]) -> str:
        """Joined as the decoder joins: words of tokens, and then the words."""
        if self.strategy == "simple":
            return self.tokenizer.join(words[begin:end])
        return self.tokenizer.join(
            [self.tokenizer.join(words[units.first[unit] : units.last[unit]]) for unit in range(begin, end)]
        )


def _tokens(scores: Floats, offsets: Ints) -> _Units:
    places = np.arange(len(scores))
    classes = scores.argmax(axis=-1)
    return _Units(classes, scores[places, classes], offsets[:, 0], offsets[:, 1], places, places + 1)


def _without_overlaps(entities: list[Entity]) -> list[Entity]:
    """Of those that windows share, the longer; of equally long ones the better."""
    kept: list[Entity] = []
    for entity in sorted(entities, key=lambda entity: entity.start):
        if not kept or not kept[-1].start <= entity.start < kept[-1].end:
            kept.append(entity)
        elif (entity.end - entity.start, entity.score) > (kept[-1].end - kept[-1].start, kept[-1].score):
            kept[-1] = entity
    return kept
