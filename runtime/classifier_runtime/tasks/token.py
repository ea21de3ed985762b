"""Classes of the tokens of a text, or the entities that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from classifier_runtime.core import scoring
from classifier_runtime.core.job import Floats, Instance, Ints, Item, Tagged, Token, always
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.options import Options
from classifier_runtime.core.tokens import Encoded as Tokens
from classifier_runtime.core.tokens import Located, Padding, Text, Tokenizer, clean, padded
from classifier_runtime.errors import InvalidRequest
from classifier_runtime.tasks.base import Encoded
from classifier_runtime.tasks.entities import Entities
from classifier_runtime.tasks.sequence import arrays, refuse

_OF_SEQUENCES: Final[Mapping[str, str]] = {
    "candidate_labels": "zero-shot is for models of text classification",
    "multi_label": "zero-shot is for models of text classification",
    "hypothesis_template": "zero-shot is for models of text classification",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """The text as it was encoded, and its tokens."""

    text: str
    located: Located


@dataclass(frozen=True, slots=True)
class TokensOfTexts:
    """`token-classification`.

    KServe answers on padding, too: basic answers of one request are as long as its longest text. So such texts are
    padded here, and computed so. What has labels is computed without.

    :param input_names: the arrays that the model wants
    """

    tokenizer: Tokenizer
    labels: Labels
    input_names: Sequence[str]
    padding: Padding

    name = "token-classification"

    def check(self, instance: Instance) -> None:
        options = instance.options
        if instance.text is None:
            raise InvalidRequest("this model classifies the tokens of a text; send a text, not an image")
        if instance.text_pair is not None:
            raise InvalidRequest("text_pair: this model classifies the tokens of one text; send two instances")
        if options.top_k:
            raise InvalidRequest("top_k: each token has one label; ask for return_probabilities to see all")
        refuse(options, _OF_SEQUENCES)
        if options.stride is not None and options.aggregation_strategy == "none":
            raise InvalidRequest("stride: tokens in two windows have two labels; give an aggregation_strategy too")

    def encode(self, instances: Sequence[Instance], go_on: Callable[[], None] = always) -> Encoded[Sequence[Kept]]:
        texts = [_text(instance) for instance in instances]
        located = self.tokenizer.locate(texts, go_on)
        basic = [not instance.options.enhanced for instance in instances]
        longest = max((len(one.special) for one, wanted in zip(located, basic, strict=True) if wanted), default=0)
        items: list[Item] = []
        kept: list[Kept] = []
        for text, one, wanted in zip(texts, located, basic, strict=True):
            missing = longest - len(one.special) if wanted else 0
            found = padded(one, missing, self.padding) if missing else one
            for window in found.windows:
                inputs = arrays(_window(found, window), self.input_names)
                if missing:
                    of_text = np.ones(len(window) - missing, np.int64)
                    inputs["attention_mask"] = np.pad(of_text, self.padding.sides(missing))
                items.append(Item(inputs, len(window)))
            kept.append(Kept(text.text, found))
        return Encoded(items, kept, sum(one.tokens.cut for one in located))

    def decode(
        self, instances: Sequence[Instance], encoded: Encoded[Sequence[Kept]], logits: Sequence[Floats]
    ) -> Sequence[Tagged]:
        """A text in one window at a time: texts differ in length, and a window is as much as one pass should hold."""
        outcomes = []
        rest = iter(logits)
        for place, (instance, kept) in enumerate(zip(instances, encoded.kept, strict=True)):
            windows = [next(rest) for _ in kept.located.windows]
            for window in windows:
                scoring.check(window, [place] * len(window))
            outcomes.append(self._tagged(instance.options, kept, windows))
        return outcomes

    def _tagged(self, options: Options, kept: Kept, windows: Sequence[Floats]) -> Tagged:
        located = kept.located
        function = options.function_to_apply or "softmax"
        logits = windows[0] if len(windows) == 1 else _joined(located, windows)
        scores = scoring.apply(function, logits)
        ids = logits.argmax(axis=-1)
        found: tuple[Token, ...] | tuple[object, ...]
        if options.aggregation_strategy == "none":
            found = self._tokens(options, kept, ids, scores)
        else:
            entities = Entities(self.tokenizer, self.labels, options.aggregation_strategy, options.ignore_labels)
            of_windows = [scores] if len(windows) == 1 else [scoring.apply(function, window) for window in windows]
            found = entities.found(kept.text, located, of_windows)
            if options.threshold is not None:
                found = tuple(entity for entity in found if entity.score >= options.threshold)
        return Tagged(ids, found, scores, logits, located.offsets, located.special)

    def _tokens(self, options: Options, kept: Kept, ids: Ints, scores: Floats) -> tuple[Token, ...]:
        """Those with a label that is not to be left out: most have none, and cost nothing here."""
        located = kept.located
        ignored = np.array([name in options.ignore_labels for name in self.labels.names])
        best = scores[np.arange(len(ids)), ids]
        wanted = ~located.special & ~ignored[ids]
        if options.threshold is not None:
            wanted &= best >= options.threshold
        places = np.flatnonzero(wanted)
        return tuple(
            Token(number, self.labels[number], score, self._word(kept.text, token, start, end), place, start, end)
            for place, number, score, token, (start, end) in zip(
                places.tolist(),
                ids[places].tolist(),
                best[places].tolist(),
                located.tokens.ids[places].tolist(),
                located.offsets[places].tolist(),
                strict=True,
            )
        )

    def _word(self, text: str, token: int, start: int, end: int) -> str:
        return text[start:end] if token == self.tokenizer.unknown else self.tokenizer.token(token)


def _text(instance: Instance) -> Text:
    options = instance.options
    return Text(
        clean(instance.text or ""),
        truncate=options.truncate,
        direction=options.truncation_direction,
        stride=options.stride,
    )


def _window(located: Located, places: Ints) -> Tokens:
    tokens = located.tokens
    return tokens if len(located.windows) == 1 else Tokens(tokens.ids[places], tokens.types[places], cut=False)


def _joined(located: Located, windows: Sequence[Floats]) -> Floats:
    """Logits of the whole text. Of a token in two windows, those of the window in which it stands deeper: the later
    window's in the second half of what the two share. Special tokens are the first window's.
    """
    logits = np.empty((len(located.special), windows[0].shape[-1]), dtype=np.float32)
    logits[located.windows[0]] = windows[0]
    reached = located.windows[0][~located.special[located.windows[0]]].max()
    for places, found in zip(located.windows[1:], windows[1:], strict=True):
        own = np.flatnonzero(~located.special[places])
        own = own[np.count_nonzero(places[own] <= reached) // 2 :]
        logits[places[own]] = found[own]
        reached = places[own].max()
    return logits
