"""The Open Inference Protocol (KServe V2) over REST."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from classifier_runtime.core.options import with_options
from classifier_runtime.core.serving import Serving
from classifier_runtime.errors import Unimplemented
from classifier_runtime.protocols import v2_metadata, v2_rest
from classifier_runtime.protocols.common import headers_of
from classifier_runtime.protocols.http import Request, Response, Route
from classifier_runtime.protocols.v2_infer import infer
from classifier_runtime.protocols.v2_packing import packed

_BINARY: Final = "application/octet-stream"


def routes(serving: Serving) -> Iterator[Route]:
    """All but `/v2/health`, which is `health`'s."""

    async def server(_: Request) -> Response:
        return Response(orjson.dumps(v2_metadata.server()))

    async def models(_: Request) -> Response:
        return Response(orjson.dumps({"models": [serving.name]}))

    async def model(request: Request) -> Response:
        _check(request, serving)
        return Response(orjson.dumps(v2_metadata.model(serving)))

    async def ready(request: Request) -> Response:
        _check(request, serving)
        if not serving.ready:
            raise serving.not_ready()
        return Response(orjson.dumps({"name": serving.name, "ready": True}))

    async def inference(request: Request) -> Response:
        _check(request, serving)
        return await _infer(serving, request)

    async def index(_: Request) -> Response:
        state = {"state": "READY"} if serving.ready else {"state": "UNAVAILABLE", "reason": str(serving.not_ready())}
        return Response(orjson.dumps([{"name": serving.name, "version": v2_metadata.VERSION, **state}]))

    async def load(_: Request) -> Response:
        if not serving.ready:
            raise serving.not_ready()
        return Response(orjson.dumps({"name": serving.name, "load": True}))

    async def unload(_: Request) -> Response:
        raise not_unloaded(serving)

    yield Route("GET", "/v2", server)
    yield Route("GET", "/v2/models", models)
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        yield Route("POST", f"{path}/infer", inference, "v2")
        yield Route("GET", f"{path}/ready", ready)
        yield Route("GET", path, model)
    yield Route("POST", "/v2/repository/index", index)
    yield Route("POST", "/v2/repository/models/{model}/load", load)
    yield Route("POST", "/v2/repository/models/{model}/unload", unload)


def not_unloaded(serving: Serving) -> Unimplemented:
    return Unimplemented(
        f"Model with name {serving.name} is the only one of its server and stays; end the server instead."
    )


def _check(request: Request, serving: Serving) -> None:
    v2_metadata.check_version(request.args.get("version", ""), serving.name)


async def _infer(serving: Serving, request: Request) -> Response:
    headers = request.headers
    said = v2_rest.parse(request.body, headers.get(v2_rest.HEADER_LENGTH), serving.limits.elements)
    base = with_options(serving.options, request.query, where="query")
    answer = await infer(serving, said, base)
    head: dict[str, Any] = {"model_name": serving.name}
    if "version" in request.args:
        head["model_version"] = v2_metadata.VERSION
    head["id"] = answer.id
    if answer.parameters:
        head["parameters"] = answer.parameters
    body, json = v2_rest.render(head, answer.outputs)
    more = headers_of(answer.result)
    if json is None:
        response = Response(body, headers=more)
    else:
        response = Response(body, content_type=_BINARY, headers={**more, v2_rest.HEADER_LENGTH: str(json)})
    return await packed(response, headers.get("Accept-Encoding", ""))
