"""Classes that a model was never trained on: each is a sentence, and the model says whether the text entails it.

The rules are those of `transformers.pipeline("zero-shot-classification")`.
"""

from __future__ import annotations

import numpy as np

from classifier_runtime.core import scoring
from classifier_runtime.core.job import Classified, Floats, Instance
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.options import DEFAULT, Options
from classifier_runtime.core.tokens import Text, clean
from classifier_runtime.errors import InvalidRequest


def entailment(labels: Labels) -> int | None:
    """The class that says that the second text follows from the first; None where the model has none."""
    return next((number for number, name in enumerate(labels.names) if name.lower().startswith("entail")), None)


def check(instance: Instance, labels: Labels) -> None:
    """:raises InvalidRequest: zero-shot is asked for in part, or of a model that cannot do it"""
    options = instance.options
    if not options.candidate_labels:
        for name in ("multi_label", "hypothesis_template"):
            if getattr(options, name) != getattr(DEFAULT, name):
                raise InvalidRequest(f"{name}: it is for zero-shot classification; give candidate_labels too")
        return
    if entailment(labels) is None:
        raise InvalidRequest(
            "candidate_labels: zero-shot needs a model with a label that begins with `entail`; this one has "
            + ", ".join(labels.names[:5])
        )
    if instance.text_pair is not None:
        raise InvalidRequest("text_pair: zero-shot makes the second text itself, of candidate_labels; leave it out")
    if options.function_to_apply is not None:
        raise InvalidRequest("function_to_apply: zero-shot has its own; use multi_label: true to score each for itself")


def pairs(instance: Instance) -> list[Text]:
    """The text with each candidate's sentence, of which nothing is cut.

    The template is no format string: `{:>999999999}` would be answered with a gigabyte.
    """
    options = instance.options
    text = clean(instance.text or "")
    return [
        Text(
            text,
            clean(options.hypothesis_template.replace("{}", candidate)),
            truncate=options.truncate,
            direction=options.truncation_direction,
            keep_pair=True,
        )
        for candidate in options.candidate_labels
    ]


def classified(options: Options, logits: Floats, labels: Labels) -> Classified:
    """Of one text.

    :param logits: [K, C] of each candidate
    """
    entails = entailment(labels)
    assert entails is not None, "checked before"
    of_entailment = np.ascontiguousarray(logits[:, entails])
    if options.multi_label or len(logits) == 1:
        contradicts = len(labels) - 1 if entails == 0 else 0
        scores = np.ascontiguousarray(scoring.apply("softmax", logits[:, [contradicts, entails]])[:, 1])
    else:
        scores = scoring.apply("softmax", of_entailment)
    candidates = Labels(options.candidate_labels, "named")
    chosen = scoring.chosen(scores, candidates, options.top_k or 0, options.threshold)
    return Classified(int(scores.argmax()), chosen, scores, of_entailment)
