"""AdmissionReviews: what the API server sends and what it gets back.

Three answers can hurt a pod even under `failurePolicy: Ignore`: `allowed: false`, a patch that does not apply, and one
whose result is invalid. The first exists only for validation; `patch` sees to the others.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from pullsizer.errors import InvalidReview

Json = Mapping[str, Any]

MAXIMUM_BODY: Final = 7 << 20
"""Bytes. An object is at most 1.5 MiB in etcd (3 as JSON); a review holds the new and the old one, and their envelope:
the bound that controller-runtime derives for its own webhooks."""

_VERSIONS: Final = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")


class Request(NamedTuple):
    """The parts of an AdmissionRequest that we read."""

    api_version: str
    uid: str
    kind: str
    operation: str
    namespace: str
    object: dict[str, Any]
    old_object: dict[str, Any]
    user: str
    dry_run: bool
    subresource: str


def decode(body: bytes) -> Request:
    """The request in a body.

    :raises InvalidReview: saying what the body is instead
    """
    if not body:
        raise InvalidReview("the body is empty; send an AdmissionReview")
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidReview("the body is not JSON; send an AdmissionReview") from None
    if not isinstance(review, dict) or review.get("kind") != "AdmissionReview":
        raise InvalidReview("the body is not an AdmissionReview")
    version = review.get("apiVersion")
    if version not in _VERSIONS:
        raise InvalidReview(f"AdmissionReview {str(version)[:60]!r} is not served; send {' or '.join(_VERSIONS)}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise InvalidReview("the AdmissionReview has no request with a uid")
    kind = request.get("kind")
    user = request.get("userInfo")
    return Request(
        api_version=version,
        uid=request["uid"],
        kind=str(kind.get("kind", "")) if isinstance(kind, dict) else "",
        operation=str(request.get("operation", "")),
        namespace=str(request.get("namespace") or ""),
        object=_object(request.get("object")),
        old_object=_object(request.get("oldObject")),
        user=str(user.get("username", "")) if isinstance(user, dict) else "",
        dry_run=request.get("dryRun") is True,
        subresource=str(request.get("subResource") or ""),
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def allow(request: Request, patch: Sequence[Json] = (), warnings: Sequence[str] = ()) -> bytes:
    """The body of an answer that allows, with a patch if there is one."""
    response: dict[str, Any] = {"uid": request.uid, "allowed": True}
    if patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(orjson.dumps(patch)).decode("ascii")
    return _answer(request, response, warnings)


def deny(request: Request, message: str, warnings: Sequence[str] = ()) -> bytes:
    """The body of an answer that refuses, with a sentence for the person at kubectl."""
    status = {"code": 422, "reason": "Invalid", "message": message}
    return _answer(request, {"uid": request.uid, "allowed": False, "status": status}, warnings)


def _answer(request: Request, response: dict[str, Any], warnings: Sequence[str]) -> bytes:
    if warnings:
        # Kubernetes truncates what is longer than 256 characters, and all beyond 4096.
        response["warnings"] = [text[:256] for text in warnings[:10]]
    return orjson.dumps({"apiVersion": request.api_version, "kind": "AdmissionReview", "response": response})
