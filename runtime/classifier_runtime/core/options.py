"""What a request may ask for: one frozen value, made of the words of the server, the query, the request, the instance.

Each later one wins. A key that nobody knows is refused with the nearest one that is known, so that a misspelt option is
never answered as if it had not been there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, get_args

from classifier_runtime.errors import InvalidRequest
from classifier_runtime.messages import nearest, shown

Function = Literal["softmax", "sigmoid", "none"]
Aggregation = Literal["none", "simple", "first", "average", "max"]
Direction = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Options:
    """In force for one instance. None where nobody said anything, so that each task has its own default.

    :param id2label: answer with labels and scores; else with ids, as KServe does
    :param return_probabilities: scores of all classes
    :param return_raw_logits: what the model gave
    :param top_k: the best so many classes; 0 for all
    :param threshold: only classes with this score or a better one, after `top_k`
    :param function_to_apply: to the logits; None for the one that the model's problem type calls for
    :param aggregation_strategy: of tokens to entities
    :param ignore_labels: of tokens, that are left out
    :param stride: tokens that windows of a long text share
    :param truncate: cut what is longer than the model takes; else such a text is refused
    :param truncation_direction: which end is cut off
    :param candidate_labels: of zero-shot
    :param multi_label: of zero-shot: each candidate for itself
    :param hypothesis_template: of zero-shot, with {} for the candidate
    """

    id2label: bool = False
    return_probabilities: bool = False
    return_raw_logits: bool = False
    top_k: int | None = None
    threshold: float | None = None
    function_to_apply: Function | None = None
    aggregation_strategy: Aggregation = "none"
    ignore_labels: tuple[str, ...] = ("O",)
    stride: int | None = None
    truncate: bool = True
    truncation_direction: Direction = "right"
    candidate_labels: tuple[str, ...] = ()
    multi_label: bool = False
    hypothesis_template: str = "This example is {}."

    @property
    def enhanced(self) -> bool:
        """Whether labels are asked for, by name or by an option that makes no sense without them."""
        return self.id2label or self.aggregation_strategy != "none" or self.limited

    @property
    def limited(self) -> bool:
        """Whether it is said how many classes are answered."""
        return self.top_k is not None or self.threshold is not None


DEFAULT: Final = Options()

ALIASES: Final[Mapping[str, str]] = {
    "use_id2label": "id2label",
    "return_labels": "id2label",
    "candidateLabels": "candidate_labels",  # as Hugging Face's inference toolkit takes it, too
}
# A candidate's sentence is read whole, beside each text: what is longer leaves a model no room for the text, and would
# be multiplied by the number of texts.
_LONGEST_SENTENCE: Final = 4096
NAMES: Final = tuple(field.name for field in fields(Options))


def with_options(base: Options, said: Mapping[str, Any], *, where: str = "parameters") -> Options:
    """The base, with what a person said over it.

    :param said: from JSON, from a query string, or from V2 parameters: there, and there only, lists come as one text
    :param where: for messages
    :raises InvalidRequest: names the key, what is wrong with it, and what to write
    """
    if not said:
        return base
    values: dict[str, Any] = {}
    for key, value in said.items():
        name = ALIASES.get(key, key)
        read = _READERS.get(name)
        if read is None:
            near = nearest(key, (*NAMES, *ALIASES))
            hint = f"; did you mean {near!r}?" if near else f"; known are {', '.join(NAMES)}"
            raise InvalidRequest(f"{where}: unknown option {shown(key)}{hint}")
        try:
            values[name] = read(value)
        except ValueError as error:
            raise InvalidRequest(f"{where}.{key}: {error}") from None
    return replace(base, **values)


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise ValueError(f"{shown(value)} is neither true nor false")


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value.strip()[:9])
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{shown(value)} is not a whole number")  # noqa: TRY004 - one kind of error, which names the key
    return value


def _top_k(value: object) -> int:
    if value is None or value == "null":
        return 0
    number = _whole(value)
    if number is None or number < 1:
        raise ValueError(f"{shown(value)} is not 1 or more; write null for all classes")
    return number


def _stride(value: object) -> int | None:
    number = None if value is None else _whole(value)
    if number is not None and number < 0:
        raise ValueError(f"{shown(value)} is below 0")
    return number


def _threshold(value: object) -> float | None:
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type] # that is the question
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"{shown(value)} is not a number")
    return number


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a text")  # noqa: TRY004 - one kind of error, which names the key
    return value


def _template(value: object) -> str:
    text = _text(value)
    if text.count("{}") != 1:
        raise ValueError(f"{shown(text)} has not one {{}} for the candidate")
    return _short(text)


def _short(text: str) -> str:
    if len(text) > _LONGEST_SENTENCE:
        raise ValueError(f"has {len(text)} characters; at most {_LONGEST_SENTENCE} make a sentence")
    return text


def _texts(value: object) -> tuple[str, ...]:
    """A list; or, where lists cannot be written, names with commas between them."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{shown(value)} is not a list of texts")
    return tuple(value)


def _candidates(value: object) -> tuple[str, ...]:
    found = _texts(value)
    if not found:
        raise ValueError("name one candidate at least")
    return tuple(map(_short, found))


def _one_of(kind: Any) -> Callable[[object], str]:
    known: tuple[str, ...] = get_args(kind)

    def read(value: object) -> str:
        if value in known:
            return str(value)
        raise ValueError(f"{shown(value)} is none of {', '.join(known)}")

    return read


_READERS: Final[Mapping[str, Callable[[object], Any]]] = {
    "id2label": _boolean,
    "return_probabilities": _boolean,
    "return_raw_logits": _boolean,
    "top_k": _top_k,
    "threshold": _threshold,
    "function_to_apply": _one_of(Function),
    "aggregation_strategy": _one_of(Aggregation),
    "ignore_labels": _texts,
    "stride": _stride,
    "truncate": _boolean,
    "truncation_direction": _one_of(Direction),
    "candidate_labels": _candidates,
    "multi_label": _boolean,
    "hypothesis_template": _template,
}
