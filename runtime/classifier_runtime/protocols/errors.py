"""Errors as clients of KServe, of the Open Inference Protocol and of Hugging Face read them: `{"error": "…"}`."""

from __future__ import annotations

from typing import Final

import orjson

from classifier_runtime.errors import Overloaded, RequestError
from classifier_runtime.protocols.http import NoSuchPath, Response, WrongMethod

# A message may quote what was sent, and that may be megabytes.
_LONGEST: Final = 500


def short(message: str) -> str:
    cut = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"
    # What was sent may hold halves of surrogates, which are no UTF-8.
    return cut.encode("utf-8", "replace").decode()


def body(message: str) -> bytes:
    return orjson.dumps({"error": short(message)})


def response(error: RequestError | NoSuchPath | WrongMethod) -> Response:
    """The answer to a request that has no other."""
    text = body(str(error))
    if isinstance(error, NoSuchPath):
        return Response(text, 404)
    if isinstance(error, WrongMethod):
        return Response(text, 405, headers={"Allow": error.allowed})
    if isinstance(error, Overloaded):
        return Response(text, error.status, headers={"Retry-After": str(error.retry_after)})
    return Response(text, error.status)
