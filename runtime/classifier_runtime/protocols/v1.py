"""KServe's V1: `{"instances": […]}` to `/v1/models/{model}:predict`, and `{"predictions": […]}` from there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from classifier_runtime.core import size
from classifier_runtime.core.job import Instance
from classifier_runtime.core.serving import Serving
from classifier_runtime.errors import InvalidRequest, Unimplemented
from classifier_runtime.protocols import cloudevents
from classifier_runtime.protocols.common import check, check_keys, headers_of, instance_of, json_of, options_of
from classifier_runtime.protocols.http import Request, Response, Route
from classifier_runtime.protocols.v1_answers import offset_mapping, predictions

_EXAMPLE: Final = '{"instances": ["…"]}'
_KEYS: Final = ("instances", "inputs", "parameters")


def routes(serving: Serving, naming: cloudevents.Naming) -> Iterator[Route]:
    """:param naming: of CloudEvents that answer"""

    async def models(_: Request) -> Response:
        return Response(orjson.dumps({"models": [serving.name]}))

    async def model(_: Request) -> Response:
        if not serving.ready:
            raise serving.not_ready()
        return Response(orjson.dumps({"name": serving.name, "ready": True}))

    async def predict(request: Request) -> Response:
        return await _predict(serving, naming, request)

    async def explain(_: Request) -> Response:
        raise Unimplemented(f"Model with name {serving.name} has no explainer.")

    yield Route("GET", "/v1/models", models)
    yield Route("GET", "/v1/models/{model}", model)
    yield Route("POST", "/v1/models/{model}:predict", predict, "v1")
    yield Route("POST", "/v1/models/{model}:explain", explain)


async def _predict(serving: Serving, naming: cloudevents.Naming, request: Request) -> Response:
    event = cloudevents.binary(request)
    body = json_of(request, _EXAMPLE)
    if event is None and (found := cloudevents.structured(request, body)) is not None:
        event, body = found
    instances = _instances(serving, request, body)
    result = await serving.classify(instances)

    def answer() -> Response:
        facts = serving.facts
        data: dict[str, Any] = {"predictions": predictions(instances, result.outcomes, facts)}
        if serving.offsets and facts.tokens and (offsets := offset_mapping(instances, result.outcomes)) is not None:
            data["outputs"] = [offsets]
        headers = headers_of(result)
        if event is None:
            return Response(orjson.dumps(data), headers=headers)
        body, content_type, more = cloudevents.answer(event, data, serving.name, naming)
        return Response(body, content_type=content_type, headers=headers | more)

    return await serving.rendered(size.numbers(instances, result.outcomes), answer)


def _instances(serving: Serving, request: Request, body: Any) -> list[Instance]:
    if not isinstance(body, dict):
        raise InvalidRequest(f"the body is no object; send {_EXAMPLE}")
    key = "inputs" if "inputs" in body else "instances"  # where there are both, KServe takes `inputs`
    if key not in body:
        check_keys(body, _KEYS)
        raise InvalidRequest(f"there are no instances; send {_EXAMPLE}")
    if len(body) > 1:
        check_keys(body, _KEYS)
    facts = serving.facts
    options = options_of(serving.options, request, body.get("parameters"))
    check(options, facts)
    values = body[key]
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, list):
        raise InvalidRequest(f"{key}: not a list; send {_EXAMPLE}")
    serving.check_count(len(values))
    return [instance_of(value, f"{key}[{place}]", options, facts) for place, value in enumerate(values)]
