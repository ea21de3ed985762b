"""CloudEvents on V1: in as one, out as one; binary (`ce-` headers) or structured (one JSON object), as KServe does.

`CE_TYPE`, `CE_SOURCE` and `CE_MERGE` say what the answers are called, as they do for KServe's server.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from classifier_runtime.errors import InvalidRequest
from classifier_runtime.protocols.http import JSON, Request

STRUCTURED: Final = "application/cloudevents+json"
_TYPE: Final = "io.kserve.inference.response"
_REQUIRED: Final = ("specversion", "id", "source", "type")


@dataclass(frozen=True, slots=True)
class Naming:
    """:param type: of answers
    :param source: of answers; None for one that names the model
    :param merge: whether answers keep the attributes of what they answer
    """

    type: str = _TYPE
    source: str | None = None
    merge: bool = False

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Naming:
        return cls(
            environ.get("CE_TYPE", _TYPE), environ.get("CE_SOURCE"), environ.get("CE_MERGE", "").lower() == "true"
        )


@dataclass(frozen=True, slots=True)
class Event:
    """What came as one, but for its data."""

    binary: bool
    attributes: Mapping[str, Any]


def binary(request: Request) -> Event | None:
    """Where the headers say that the body is an event's data."""
    headers = request.headers
    if "ce-specversion" not in headers:
        return None
    found = {name[3:].lower(): value for name, value in headers.items() if name[:3].lower() == "ce-"}
    _check(found)
    return Event(True, found)


def structured(request: Request, body: Any) -> tuple[Event, Any] | None:
    """The event and its data, where the body is one by its content type."""
    if not request.headers.get("Content-Type", "").startswith(STRUCTURED):
        return None
    if not isinstance(body, dict):
        raise InvalidRequest("a CloudEvent is a JSON object")
    _check(body)
    if "data" not in body:
        raise InvalidRequest("the CloudEvent has no data; what is to be predicted belongs there, as JSON")
    return Event(False, {key: value for key, value in body.items() if key != "data"}), body["data"]


def _check(attributes: Mapping[str, Any]) -> None:
    missing = [name for name in _REQUIRED if not attributes.get(name)]
    if missing:
        raise InvalidRequest(f"the CloudEvent has no {', '.join(missing)}")


def answer(event: Event, data: Any, model: str, naming: Naming) -> tuple[bytes, str, dict[str, str]]:
    """Body, content type and headers of the event that answers another."""
    left_out = ("id", "time", "datacontenttype")
    kept = {key: value for key, value in event.attributes.items() if key not in left_out} if naming.merge else {}
    attributes = {
        "specversion": "1.0",
        **kept,
        "id": str(uuid.uuid4()),
        "source": naming.source or f"io.kserve.inference.{model}",
        "type": naming.type,
        "time": datetime.now(UTC).isoformat(),
    }
    if event.binary:
        return orjson.dumps(data), JSON, {f"ce-{key}": str(value) for key, value in attributes.items()}
    return orjson.dumps({**attributes, "data": data}), STRUCTURED, {}
