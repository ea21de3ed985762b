"""What Pullsizer promises its cluster: it restarts nothing, writes to no service, and does only what it may."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.cluster.services import classic, llm, note, pods, template
from tests.controlplane.cluster import Document
from tests.installation import NAMESPACE, Installation

pytestmark = pytest.mark.needs_own_plane

URI = "hf://openbmb/MiniCPM-V-4_5"
SERVICES = [
    classic("classic", URI),
    llm("llm", {"model": {"uri": URI, "name": "m"}, "replicas": 1, "template": template()}),
]
ACCOUNTS = tuple(f"system:serviceaccount:{NAMESPACE}:{name}" for name in ("pullsizer-webhook", "pullsizer-controller"))


def test_a_sized_service_is_rolled_out_once_and_never_written_to(installed: Installation, namespace: str) -> None:
    plane = installed.plane
    plane.apply(SERVICES, f"--namespace={namespace}")
    for service in SERVICES:
        until_sized(installed, namespace, service)
    plane.until(lambda: _measured(installed, namespace) >= len(SERVICES), 30, "all ModelPulls are measured")
    before = _generations(installed, namespace)

    # A controller that starts anew looks at every service again.
    plane.stop_process("pullsizer-controller")
    installed.start_controller()
    plane.until(lambda: installed.metric("pullsizer_leader", role="controller") == 1, 60, "the controller leads")
    time.sleep(3)  # nothing is awaited: what must not happen has no event
    after = _generations(installed, namespace)

    assert after == before
    for service in SERVICES:
        found = plane.get(service["kind"].lower(), service["metadata"]["name"], namespace)
        shown = plane.kubectl(
            "get", service["kind"].lower(), found["metadata"]["name"], f"--namespace={namespace}",
            "--show-managed-fields", "--output=jsonpath={.metadata.managedFields[*].manager}",
        )  # fmt: skip
        assert "pullsizer" not in shown
        assert not [key for key in found["metadata"].get("annotations", {}) if "pullsizer" in key or "kopf" in key]
        assert not [name for name in found["metadata"].get("finalizers", ()) if "kopf" in name or "pullsizer" in name]


def until_sized(installed: Installation, namespace: str, service: Document) -> None:
    def sized() -> bool:
        found = pods(installed.plane, namespace, service)
        return bool(found) and all(map(note, found))

    installed.plane.until(sized, 60, f"{service['metadata']['name']} is sized")


def _measured(installed: Installation, namespace: str) -> int:
    items = installed.plane.get("modelpulls", namespace=namespace)["items"]
    return sum(
        (condition["type"], condition["status"]) == ("Measured", "True")
        for item in items
        for condition in item.get("status", {}).get("conditions", ())
    )


def _generations(installed: Installation, namespace: str) -> dict[tuple[str, str], int]:
    """Of everything that would change in a rollout."""
    found: dict[tuple[str, str], int] = {}
    for kind in ("deployments", "replicasets"):
        for item in installed.plane.get(kind, namespace=namespace)["items"]:
            found[item["kind"], item["metadata"]["name"]] = item["metadata"]["generation"]
    return found


def test_every_call_of_ours_was_allowed_by_our_rbac(installed: Installation, namespace: str) -> None:
    plane = installed.plane
    service = classic("seen", URI)
    plane.apply(service, f"--namespace={namespace}")
    until_sized(installed, namespace, service)

    ours = [event for event in plane.audit_events() if _user(event) in ACCOUNTS]

    assert {_user(event) for event in ours} == set(ACCOUNTS)
    # An API server that has just started denies what it allows a moment later, when it has read its roles.
    allowed = {_call(event) for event in ours if _decision(event) == "allow"}
    assert {_call(event) for event in ours} - allowed == set()
    written = {event["objectRef"]["resource"] for event in ours if event["verb"] not in ("get", "list", "watch")}
    assert not written & {"inferenceservices", "llminferenceservices", "pods", "deployments", "replicasets"}
    webhook_writes = [
        _call(event) for event in ours if _user(event) == ACCOUNTS[0] and event["verb"] not in ("get", "list", "watch")
    ]
    assert webhook_writes == []


def _user(event: Document) -> str:
    return str(event["user"]["username"])


def _decision(event: Document) -> Any:
    # A request that is answered before authorisation (a broken connection) has no decision.
    return event.get("annotations", {}).get("authorization.k8s.io/decision", "allow")


def _call(event: Document) -> str:
    return f"{event['verb']} {event['requestURI'].partition('?')[0]} by {_user(event)}"
