"""What a protocol makes of a request, and what it gets back to render."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from classifier_runtime.core.options import Options

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]


def always() -> None:
    """Somebody waits: what encoding is told that is done for nobody in particular."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One thing to classify: a text, a pair of texts, or an image as it was sent.

    :param options: in force for this one: what it asks for itself, over the request's, over the server's
    """

    options: Options
    text: str | None = None
    text_pair: str | None = None
    image: bytes | None = None


class Scored(NamedTuple):
    """A class with its score. `id` is the class's number, or with zero-shot the candidate's place in the list.

    A tuple, for an answer can have thousands of them: 32 x 1000 take 8 ms to make, and 13 as a frozen dataclass.
    """

    id: int
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Classified:
    """The answer on a sequence, a pair, an image, or zero-shot.

    :param id: what basic mode answers: the best class
    :param chosen: the classes asked for, by `top_k` and then `threshold`: best first, equal scores by id
    :param scores: [C] of every class, by id, after `function_to_apply`
    :param logits: [C], as the model gave them
    """

    id: int
    chosen: tuple[Scored, ...]
    scores: Floats
    logits: Floats


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was classified.

    :param index: its place in the sequence, special tokens counted
    :param start: and `end`: characters (code points) of the text
    """

    id: int
    label: str
    score: float
    word: str
    index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Entity:
    """Tokens that are one thing, by an aggregation strategy."""

    label: str
    score: float
    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tagged:
    """The answer on the tokens of a text.

    :param ids: [L] best class of each token, special tokens counted, padding not
    :param found: tokens without special ones and without `ignore_labels`; or entities, where a strategy was asked for
    :param scores: [L, C]
    :param logits: [L, C]
    :param offsets: [L, 2] characters (code points); (0, 0) for special tokens
    :param special: [L] whether a token is a special one
    """

    ids: Ints
    found: tuple[Token, ...] | tuple[Entity, ...]
    scores: Floats
    logits: Floats
    offsets: Ints
    special: NDArray[np.bool_]


Outcome: TypeAlias = Classified | Tagged


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of one request, for headers, metrics and traces.

    :param began: by `time.perf_counter`; 0 where there was nothing to classify
    """

    tokenize: float = 0.0
    queue: float = 0.0
    forward: float = 0.0
    decode: float = 0.0
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """Outcomes in the order of the job's instances.

    :param truncated: how many of the texts were cut
    :param tokens: that were computed, without padding
    """

    outcomes: Sequence[Outcome]
    truncated: int = 0
    tokens: int = 0
    timings: Timings = Timings()


@dataclass(frozen=True, slots=True)
class Item:
    """What a backend sees of one thing to classify.

    :param arrays: by the name of the model's input: [tokens] of int64 for texts, [channels, height, width] of float32
        for images
    :param tokens: what it costs of a batch's budget
    """

    arrays: Mapping[str, NDArray[np.int64] | NDArray[np.float32]]
    tokens: int


@dataclass(frozen=True, slots=True)
class Computed:
    """Logits of items, in their order, and how long it took.

    :param logits: of each item: [C], or [tokens, C] where each token is classified
    """

    logits: Sequence[Floats]
    queue: float = 0.0
    forward: float = 0.0
