"""The HTTP interface described: `/openapi.json` for programs, `/docs` for people, of the routes that there are."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from classifier_runtime import __version__
from classifier_runtime.core.options import NAMES, Options
from classifier_runtime.protocols.http import Request, Response, Route

# By protocol: what it is, and a body that its requests may have.
_ASKS: Final[Mapping[str, tuple[str, Any]]] = {
    "v1": (
        "KServe V1: ids as KServe answers, or labels where id2label is asked for",
        {"instances": ["a text", {"text": "another", "parameters": {"top_k": 3}}], "parameters": {"id2label": True}},
    ),
    "v2": (
        "Open Inference Protocol V2",
        {
            "inputs": [{"name": "input-0", "shape": [1], "datatype": "BYTES", "data": ["a text"]}],
            "parameters": {"id2label": True},
        },
    ),
    "huggingface": ("Hugging Face's shape", {"inputs": "a text", "parameters": {"top_k": 3}}),
}
_ERROR: Final = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_FAILURES: Final = {
    "400": "what was asked is wrong; the sentence says what, where, and the remedy",
    "404": "no such model or path",
    "408": "the body did not come",
    "413": "more instances, text or bytes than one request may have",
    "429": "the queue is full; Retry-After says when to come again",
    "500": "the model failed",
    "503": "starting, or about to end",
    "504": "the answer would have come too late",
}
_STYLE: Final = "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto}pre{overflow:auto}"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def routes(model: str, described: Iterable[Route]) -> Iterator[Route]:
    """:param model: its name, which stands in the paths"""
    document = openapi(model, described)
    page = _page(document)
    text = orjson.dumps(document)

    async def machine(_: Request) -> Response:
        return Response(text)

    async def people(_: Request) -> Response:
        headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
        return Response(page, content_type="text/html; charset=utf-8", headers=headers)

    yield Route("GET", "/openapi.json", machine)
    yield Route("GET", "/docs", people)


def openapi(model: str, described: Iterable[Route]) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for route in described:
        path = route.path.replace("{model}", model)
        paths.setdefault(path, {})[route.method.lower()] = _operation(path, route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Classifier", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {
                "Error": _ERROR,
                "Parameters": {"type": "object", "properties": _options(), "additionalProperties": False},
            }
        },
    }


def _options() -> dict[str, Any]:
    """Their defaults say of what kind they are."""
    return {name: {"default": getattr(Options(), name)} for name in NAMES}


def _operation(path: str, route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {"responses": {"200": {"description": "the answer"}}}
    names = re.findall(r"{(\w+)}", path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if route.protocol is None:
        return operation
    summary, example = _ASKS[route.protocol]
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation["summary"] = summary
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"parameters": {"$ref": "#/components/schemas/Parameters"}},
                },
                "example": example,
            }
        },
    }
    operation["responses"] |= {code: {"description": text, "content": error} for code, text in _FAILURES.items()}
    return operation


def _page(document: Mapping[str, Any]) -> bytes:
    parts = [f"<!doctype html><meta charset=utf-8><title>Classifier</title><style>{_STYLE}</style><h1>Classifier</h1>"]
    parts.append('<p>For programs: <a href="openapi.json">openapi.json</a>.</p>')
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<h3><code>{method.upper()} {html.escape(path)}</code></h3>")
            if "requestBody" in operation:
                example = operation["requestBody"]["content"]["application/json"]["example"]
                text = orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
                parts.append(f"<p>{html.escape(operation['summary'])}</p><pre>{html.escape(text)}</pre>")
    parts.append("<h2>Options</h2><ul>")
    parts.extend(f"<li><code>{name}</code>" for name in NAMES)
    parts.append("</ul><h2>Errors</h2><ul>")
    parts.extend(f"<li>{code}: {html.escape(text)}" for code, text in _FAILURES.items())
    return "\n".join((*parts, "</ul>")).encode()
