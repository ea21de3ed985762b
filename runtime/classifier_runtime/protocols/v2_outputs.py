"""Which tensors answer a request, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from classifier_runtime.core.job import Classified, Outcome, Tagged
from classifier_runtime.core.options import Options
from classifier_runtime.core.serving import Facts
from classifier_runtime.errors import InvalidRequest
from classifier_runtime.protocols import v2_classes, v2_tokens
from classifier_runtime.protocols.v2_text import BASIC
from classifier_runtime.protocols.v2_types import Output, Wanted


def names(facts: Facts) -> tuple[str, ...]:
    """All outputs that a model has."""
    if facts.tokens:
        return (BASIC, *v2_tokens.NAMES, v2_tokens.OFFSET_MAPPING)
    return (BASIC, *v2_classes.NAMES)


def implied(options: Options, wanted: Sequence[Wanted], facts: Facts, model: str) -> Options:
    """Options, with those that outputs call for which were asked for by name.

    :param model: its name, for messages
    :raises InvalidRequest: an output that there is not, in KServe's words
    """
    known = names(facts)
    labels, probabilities, logits = options.id2label, options.return_probabilities, options.return_raw_logits
    for one in wanted:
        if one.name not in known:
            raise InvalidRequest(
                f"Unexpected inference output '{one.name}' for model '{model}'; it has {', '.join(known)}"
            )
        if facts.tokens:
            v2_tokens.check(one, options)
        else:
            v2_classes.check(one, options, facts)
        labels = labels or one.name not in (BASIC, v2_tokens.OFFSET_MAPPING)
        probabilities = probabilities or one.name == "probabilities"
        logits = logits or one.name == "logits"
    return replace(options, id2label=labels, return_probabilities=probabilities, return_raw_logits=logits)


def outputs(
    outcomes: Sequence[Outcome],
    options: Options,
    wanted: Sequence[Wanted],
    facts: Facts,
    *,
    binary: bool = False,
    offsets: bool = False,
) -> list[Output]:
    """The tensors that answer.

    :param options: in force for all instances
    :param wanted: by name; none for all that the options call for
    :param binary: where an output does not say for itself
    :param offsets: whether basic answers on tokens say where each is in the text
    """
    if not wanted:
        wanted = [Wanted(name) for name in _usual(options, facts, offsets=offsets)]
    if facts.tokens:
        tags = v2_tokens.Tags(cast("Sequence[Tagged]", outcomes), options, facts)
        found = [v2_tokens.tensor(one.name, tags) for one in wanted]
    else:
        classes = v2_classes.Classes.of(cast("Sequence[Classified]", outcomes), options, facts)
        found = [
            v2_classes.best(one, classes) if one.classes else v2_classes.tensor(one.name, classes) for one in wanted
        ]
    return [
        replace(output, binary=binary if one.binary is None else one.binary)
        for output, one in zip(found, wanted, strict=True)
    ]


def _usual(options: Options, facts: Facts, *, offsets: bool) -> list[str]:
    if options.enhanced:
        return [BASIC, *(v2_tokens.usual(options) if facts.tokens else v2_classes.usual(options, facts))]
    return [BASIC, v2_tokens.OFFSET_MAPPING] if offsets and facts.tokens else [BASIC]
