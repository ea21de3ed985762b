"""ModelPulls as objects of the API server: where they are, whose they are, whether two are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pullsizer.controller.inventory import ServiceKey
from pullsizer.controller.questions import Waiter
from pullsizer.errors import ClusterError
from pullsizer.modelpull import service_of
from pullsizer.names import API_VERSION, INFERENCE_SERVICE, LLM_INFERENCE_SERVICE, PLURAL

Object = Mapping[str, Any]


def path(waiter: Waiter) -> str:
    return f"/apis/{API_VERSION}/namespaces/{waiter.namespace}/{PLURAL}/{waiter.name}"


def waiter_of(item: Object) -> Waiter:
    return Waiter(item["metadata"]["namespace"], item["metadata"]["name"])


def service_key(item: Object) -> ServiceKey | None:
    found = service_of(item)
    if found is None or found[0] not in (INFERENCE_SERVICE, LLM_INFERENCE_SERVICE):
        return None
    kind, name = found
    return ServiceKey(item["metadata"]["namespace"], kind, name)  # type: ignore[arg-type]


def going(error: ClusterError) -> bool:
    """Whether nothing can be made as the namespace is being deleted. The API server says so in words only."""
    return error.status == 403 and "being terminated" in str(error)


def version(item: Object) -> int:
    """Which of two is the newer. Versions of one object are comparable numbers (KEP-5504, and ever before)."""
    text = str(item["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0


def same(one: Object, other: Object) -> bool:
    return all(one.get(part) == other.get(part) for part in ("spec", "status")) and _owners(one) == _owners(other)


def applied(existing: Object, wanted: Object) -> bool:
    labels = existing["metadata"].get("labels") or {}
    return (
        existing.get("spec") == wanted["spec"]
        and _owners(existing) == _owners(wanted)
        and wanted["metadata"]["labels"].items() <= labels.items()
    )


def _owners(item: Object) -> set[str]:
    return {str(owner.get("uid")) for owner in item["metadata"].get("ownerReferences") or ()}
