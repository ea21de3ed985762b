"""Texts to a model's tokens, with the model's own tokenizer, and cut as transformers cuts.

The tokenizer is shared by all threads and never changed, so that it needs no lock. Therefore nothing is cut by itself,
whose limits are state: a text is encoded whole, with its special tokens, and of what is too long the places of the text
are left out, never the special ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

import numpy as np
import tokenizers

from classifier_runtime.core.job import Ints, always
from classifier_runtime.core.options import Direction
from classifier_runtime.errors import InvalidRequest

# A lone half of a UTF-16 pair, which UTF-8 cannot write. JSON with one is refused; a query's bytes that are no UTF-8
# become such where aiohttp has its parser in Python, not in C. One character for one keeps all offsets right.
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# A text with more characters than this for each token that the model takes is not encoded to its end (`_shortened`).
_CHARACTERS_PER_TOKEN: Final = 32
# Tokens beyond the limit that must be there before the rest of a text is left out: with tokenizers that merge across
# spaces, what stands behind a space can change the last few tokens before it.
_MARGIN: Final = 16
# So often each token of a long text may be computed, in windows that share it: with a stride one below the window's
# length, a text of 250 kB would be 9 million tokens.
_MOST_TIMES: Final = 4
_FEW_TOKENS: Final = 8192
# Texts that are encoded before it is asked again whether anybody waits for the rest.
_AT_ONCE: Final = 32

_Input: TypeAlias = str | tuple[str, str]
# What is left of a text that is cut at this end, and where that begins.
_Shorten: TypeAlias = Callable[[str, Direction], tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Text:
    """A text, or a pair of them, to be encoded.

    :param truncate: cut what is too long; else refuse it
    :param direction: the end that is cut off
    :param keep_pair: only the first text of a pair is cut
    :param stride: do not cut: windows that share so many tokens
    """

    text: str
    pair: str | None = None
    truncate: bool = True
    direction: Direction = "right"
    keep_pair: bool = False
    stride: int | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """The tokens of a text.

    :param ids: [L]
    :param types: [L] which of a pair's texts a token is of, where the model is told
    :param cut: whether some of the text is missing
    """

    ids: Ints
    types: Ints
    cut: bool


@dataclass(frozen=True, slots=True)
class Located:
    """The tokens of a text, and where in it they are.

    :param offsets: [L, 2] characters (code points)
    :param special: [L] which of them the tokenizer, or padding, put there
    :param windows: places of the tokens that the model sees at once; one window of all of them without a stride
    """

    tokens: Encoded
    offsets: Ints
    special: np.typing.NDArray[np.bool_]
    windows: tuple[Ints, ...]


@dataclass(frozen=True, slots=True)
class Padding:
    """What a model's texts are filled up with, to be as long as others.

    :param left: it comes before the text
    """

    id: int
    left: bool

    def sides(self, missing: int) -> tuple[int, int]:
        """Before the text, and behind it."""
        return (missing, 0) if self.left else (0, missing)


def padded(one: Located, missing: int, padding: Padding) -> Located:
    """With so many more tokens as transformers pads: of type 0, special ones, and nowhere in the text.

    :param one: in one window
    """
    sides = padding.sides(missing)
    ids = np.pad(one.tokens.ids, sides, constant_values=padding.id)
    return Located(
        Encoded(ids, np.pad(one.tokens.types, sides), one.tokens.cut),
        np.pad(one.offsets, (sides, (0, 0))),
        np.pad(one.special, sides, constant_values=True),
        (np.arange(len(ids)),),
    )


def clean(text: str) -> str:
    """A text that can be encoded: lone surrogates become U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


class Tokenizer:
    """A model's tokenizer.

    :param raw: its padding and truncation are switched off here; nobody may change it afterwards
    :param max_tokens: the longest sequence that the model takes, special tokens counted
    :param unknown: the id of the token for what has none
    """

    def __init__(self, raw: tokenizers.Tokenizer, max_tokens: int, unknown: int | None = None) -> None:
        raw.no_padding()
        raw.no_truncation()
        self._raw = raw
        self._decoder = raw.decoder
        self.max_tokens = max_tokens
        self.unknown = unknown
        #: Whether a token says itself that it continues a word ("##ing").
        self.marks_subwords = bool(getattr(raw.model, "continuing_subword_prefix", None))

    def token(self, number: int) -> str:
        return self._raw.id_to_token(number) or ""

    def join(self, tokens: Sequence[str]) -> str:
        """Tokens to text, as the tokenizer's decoder does it."""
        return self._decoder.decode(list(tokens)) if self._decoder is not None else " ".join(tokens)

    def encode(self, texts: Sequence[Text], go_on: Callable[[], None] = always) -> list[Encoded]:
        """Of texts that are `clean`.

        :param go_on: raises where nobody waits any more
        :raises InvalidRequest: too long and not to be cut; or without any token
        """
        inputs = list(self._inputs(texts, go_on))
        encodings = _in_parts(self._raw.encode_batch_fast, [text for text, _, _ in inputs], go_on)
        found = []
        for place, (text, encoding, (_, _, shortened)) in enumerate(zip(texts, encodings, inputs, strict=True)):
            ids = np.array(encoding.ids, dtype=np.int64)
            types = np.array(encoding.type_ids, dtype=np.int64)
            kept = self._kept(place, text, encoding)
            if kept is not None:
                ids, types = ids[kept], types[kept]
            found.append(Encoded(ids, types, shortened or kept is not None))
        return found

    def locate(self, texts: Sequence[Text], go_on: Callable[[], None] = always) -> list[Located]:
        """Of texts that are `clean`, and no pairs.

        :param go_on: raises where nobody waits any more
        :raises InvalidRequest: as `encode`; or a stride that leaves no room for going on
        """
        inputs = list(self._inputs(texts, go_on))
        encodings = _in_parts(self._raw.encode_batch, [text for text, _, _ in inputs], go_on)
        return [
            self._located(place, text, encoding, began, shortened)
            for place, (text, encoding, (_, began, shortened)) in enumerate(zip(texts, encodings, inputs, strict=True))
        ]

    def _located(self, place: int, text: Text, encoding: tokenizers.Encoding, began: int, shortened: bool) -> Located:
        ids = np.array(encoding.ids, dtype=np.int64)
        types = np.array(encoding.type_ids, dtype=np.int64)
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        special = np.array(encoding.special_tokens_mask, dtype=np.bool_)
        offsets[~special] += began
        if text.stride is not None:
            windows = self._windows(place, encoding, text.stride)
            return Located(Encoded(ids, types, cut=False), offsets, special, windows)
        kept = self._kept(place, text, encoding)
        if kept is not None:
            ids, types, offsets, special = ids[kept], types[kept], offsets[kept], special[kept]
        tokens = Encoded(ids, types, shortened or kept is not None)
        return Located(tokens, offsets, special, (np.arange(len(ids)),))

    def _inputs(self, texts: Sequence[Text], go_on: Callable[[], None]) -> Iterator[tuple[_Input, int, bool]]:
        shortened = cache(self._shortened)  # a text with many candidates is in as many pairs
        for place, text in enumerate(texts):
            go_on()
            found = self._input(text, shortened)
            if found[2] and not text.truncate:
                raise self._too_long(place, f"{self.max_tokens + _MARGIN} tokens or more")
            yield found

    def _input(self, text: Text, shortened: _Shorten) -> tuple[_Input, int, bool]:
        """What is encoded of a text, where in it that begins, and whether that is less than all."""
        if text.stride is not None:
            return text.text, 0, False
        if text.pair is None:
            first, began = shortened(text.text, text.direction)
            return first, began, len(first) < len(text.text)
        first, second = text.text, text.pair
        # Of two long texts the longer gets the odd place: both lengths are needed. A character is 4 tokens at most.
        if text.keep_pair or 4 * len(second) <= self.max_tokens:
            first, _ = shortened(first, text.direction)
        elif 4 * len(first) <= self.max_tokens:
            second, _ = shortened(second, text.direction)
        return (first, second), 0, len(first) < len(text.text) or len(second) < len(text.pair)

    def _shortened(self, text: str, direction: Direction) -> tuple[str, int]:
        """As much of a very long text as can matter, up to a space, and where that begins: the rest would be encoded,
        which takes most of a second for each megabyte, only to be cut off.
        """
        size = _CHARACTERS_PER_TOKEN * self.max_tokens
        while size < len(text):
            if direction == "right":
                parts = text[:size].rsplit(None, 1)
                piece = parts[0] if len(parts) == 2 else ""
            else:
                parts = text[-size:].split(None, 1)
                piece = parts[1] if len(parts) == 2 else ""
            [encoding] = self._raw.encode_batch_fast([piece], add_special_tokens=False)
            if len(encoding) >= self.max_tokens + _MARGIN:
                return piece, 0 if direction == "right" else len(text) - len(piece)
            size *= 4
        return text, 0

    def _kept(self, place: int, text: Text, encoding: tokenizers.Encoding) -> Ints | None:
        """The places that stay; None for all."""
        count = len(encoding)
        if count == 0:
            raise InvalidRequest(f"instance {place}: the text has no tokens; send one with a letter or a digit in it")
        if count <= self.max_tokens:
            return None
        if not text.truncate:
            raise self._too_long(place, f"{count} tokens")
        first, second, special = _places(encoding)
        room = self.max_tokens - len(special)
        if text.pair is None:
            sizes = (room, 0)
        elif text.keep_pair:
            sizes = (room - len(second), len(second))
        else:
            sizes = longest_first(len(first), len(second), room)
        if min(sizes) < 0 or (text.keep_pair and sizes[0] == 0):
            raise InvalidRequest(
                f"instance {place}: its second text alone has {len(second)} tokens, and the model takes "
                f"{self.max_tokens} in all; shorten it"
            )
        return np.sort(
            np.concatenate([special, _cut(first, sizes[0], text.direction), _cut(second, sizes[1], text.direction)])
        )

    def _windows(self, place: int, encoding: tokenizers.Encoding, stride: int) -> tuple[Ints, ...]:
        first, _, special = _places(encoding)
        room = self.max_tokens - len(special)
        if stride >= room:
            raise InvalidRequest(f"instance {place}: stride {stride} must be below {room}, the tokens of a window")
        starts = range(0, max(len(first) - stride, 1), room - stride)
        if len(starts) * room > max(_MOST_TIMES * len(first), _FEW_TOKENS):
            raise InvalidRequest(
                f"instance {place}: with a stride of {stride} it would be read in {len(starts)} windows, which share "
                f"most of their {room} tokens; lower it"
            )
        return tuple(np.sort(np.concatenate([special, first[start : start + room]])) for start in starts)

    def _too_long(self, place: int, length: str) -> InvalidRequest:
        return InvalidRequest(
            f"instance {place}: the text has {length}, special ones counted, and the model takes {self.max_tokens}; "
            "shorten it, or leave truncate: false out"
        )


def _in_parts(
    encode: Callable[[list[_Input]], list[tokenizers.Encoding]], inputs: list[_Input], go_on: Callable[[], None]
) -> Iterator[tokenizers.Encoding]:
    for start in range(0, len(inputs), _AT_ONCE):
        go_on()
        yield from encode(inputs[start : start + _AT_ONCE])


def _places(encoding: tokenizers.Encoding) -> tuple[Ints, Ints, Ints]:
    """Of the first text's tokens, the second's, and those that are neither's."""
    of = np.array([-1 if number is None else number for number in encoding.sequence_ids], dtype=np.int64)
    return np.flatnonzero(of == 0), np.flatnonzero(of == 1), np.flatnonzero(of == -1)


def _cut(places: Ints, size: int, direction: Direction) -> Ints:
    return places[:size] if direction == "right" else places[max(len(places) - size, 0) :]


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of a pair stays: the rule of the tokenizers library, by which only the longer is cut until both are
    equally long.
    """
    short, long = sorted((first, second))
    long = short if short > room else min(long, max(short, room - short))
    if short + long > room:
        short, long = room // 2, room // 2 + room % 2
    return (short, long) if first <= second else (long, short)
