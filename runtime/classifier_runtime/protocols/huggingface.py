"""Hugging Face's shape, as `huggingface_hub.InferenceClient` speaks it: `{"inputs": …, "parameters": {…}}`, labelled.

The client takes the first element of what a text classifier answers, so that one text is answered with a list in a
list; all other tasks answer one input flat, and a list of inputs with a list each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import orjson

from classifier_runtime.core import size
from classifier_runtime.core.job import Instance, Outcome, Tagged, Token
from classifier_runtime.core.options import Options
from classifier_runtime.core.serving import Facts, Serving
from classifier_runtime.errors import InvalidRequest
from classifier_runtime.protocols.common import check, check_keys, headers_of, instance_of, json_of, options_of
from classifier_runtime.protocols.http import Request, Response, Route

_EXAMPLE: Final = '{"inputs": "…"}'
_KEYS: Final = ("inputs", "parameters")
_IMAGE_TOP_K: Final = 5
"""`transformers.pipeline("image-classification")`'s own."""
_INSTEAD: Final = {
    "return_probabilities": "this shape has all classes with top_k: null",
    "return_raw_logits": "ask for function_to_apply: none",
}


def routes(serving: Serving) -> Iterator[Route]:
    async def classify(request: Request) -> Response:
        return await _classify(serving, request)

    for path in ("/", "/models/{model}", "/predict"):
        yield Route("POST", path, classify, "huggingface")


async def _classify(serving: Serving, request: Request) -> Response:
    facts = serving.facts
    base = _defaults(serving.options, facts)
    if facts.images and _raw(request):
        instances, single = [Instance(_options(base, request, None, facts), image=request.body)], True
    else:
        instances, single = _instances(serving, base, request, facts)
    result = await serving.classify(instances)
    flat = single and (facts.images or facts.tokens or bool(instances[0].options.candidate_labels))

    def answer() -> Response:
        answers = [
            _answer(instance.options, outcome, facts)
            for instance, outcome in zip(instances, result.outcomes, strict=True)
        ]
        return Response(orjson.dumps(answers[0] if flat else answers), headers=headers_of(result))

    return await serving.rendered(size.numbers(instances, result.outcomes), answer)


def _defaults(options: Options, facts: Facts) -> Options:
    """All classes of texts, as the Hub's own server answers."""
    return replace(
        options,
        id2label=True,
        return_probabilities=False,
        return_raw_logits=False,
        top_k=_IMAGE_TOP_K if facts.images and not facts.regression else 0,
    )


def _options(base: Options, request: Request, said: Any, facts: Facts) -> Options:
    options = options_of(base, request, said)
    for name, instead in _INSTEAD.items():
        if getattr(options, name):
            raise InvalidRequest(f"{name}: not in Hugging Face's shape; {instead}")
    check(options, facts)
    return options


def _raw(request: Request) -> bool:
    """Whether the body is an image, not an object that has one."""
    return "json" not in request.headers.get("Content-Type", "") and not request.body[:64].lstrip().startswith(b"{")


def _instances(serving: Serving, base: Options, request: Request, facts: Facts) -> tuple[list[Instance], bool]:
    body = json_of(request, _EXAMPLE)
    if not isinstance(body, dict):
        raise InvalidRequest(f"the body is no object; send {_EXAMPLE}")
    check_keys(body, _KEYS)
    if "inputs" not in body:
        raise InvalidRequest(f"there are no inputs; send {_EXAMPLE}")
    options = _options(base, request, body.get("parameters"), facts)
    inputs = body["inputs"]
    if not isinstance(inputs, list):
        return [instance_of(inputs, "inputs", options, facts)], True
    serving.check_count(len(inputs))
    return [instance_of(value, f"inputs[{place}]", options, facts) for place, value in enumerate(inputs)], False


def _answer(options: Options, outcome: Outcome, facts: Facts) -> list[dict[str, Any]]:
    if isinstance(outcome, Tagged):
        return [_entity(one) for one in outcome.found]
    if facts.regression and not options.candidate_labels:
        pairs = zip(facts.labels.names, outcome.scores.tolist(), strict=True)
        return [{"label": label, "score": score} for label, score in pairs]
    return [{"label": one.label, "score": one.score} for one in outcome.chosen]


def _entity(one: Any) -> dict[str, Any]:
    if isinstance(one, Token):
        return {
            "entity": one.label,
            "score": one.score,
            "index": one.index,
            "word": one.word,
            "start": one.start,
            "end": one.end,
        }
    return {"entity_group": one.label, "score": one.score, "word": one.word, "start": one.start, "end": one.end}
