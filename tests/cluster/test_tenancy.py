"""What one namespace may know of a private model, another does not learn."""

from __future__ import annotations

import json

import pytest

from tests.cluster.conftest import TOKEN_NAMESPACE
from tests.cluster.services import classic, note, pods
from tests.controlplane.cluster import Document
from tests.installation import ROOT, Installation
from tests.stubs.hub import TOKEN

pytestmark = pytest.mark.needs_own_plane

PRIVATE = classic("private", "hf://stub/private")


def test_a_private_model_is_measured_for_the_namespace_that_has_its_token_and_for_no_other(
    installed: Installation, namespace: str
) -> None:
    plane = installed.plane
    owner = TOKEN_NAMESPACE
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": owner}})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hub-token"},
        "stringData": {"HF_TOKEN": TOKEN},
    }
    plane.apply(secret, f"--namespace={owner}")
    example = (ROOT / "deploy" / "examples" / "hub-token-rbac.yaml").read_text()
    plane.kubectl(
        "apply", f"--namespace={owner}", "-f", "-", stdin=example.replace("namespace: models", f"namespace: {owner}")
    )
    try:
        for name in (owner, namespace):
            plane.apply(PRIVATE, f"--namespace={name}")
        known, unknown = (_first_note(installed, name) for name in (owner, namespace))

        assert known["basis"] == "model"
        assert unknown["basis"] == "default"
        texts = json.dumps([plane.get(kind, namespace=namespace) for kind in ("modelpulls", "events", "pods")])
        assert "Unauthorized" in texts
        assert TOKEN not in texts
        for size in _sizes(plane.get("modelpulls", namespace=owner)):
            assert str(size) not in texts
    finally:
        plane.kubectl("delete", "namespace", owner, "--wait=false")


def _first_note(installed: Installation, namespace: str) -> Document:
    found = installed.plane.until(
        lambda: next(iter(pods(installed.plane, namespace, PRIVATE)), None), 60, f"a pod in {namespace}"
    )
    assert found is not None
    return note(found)


def _sizes(model_pulls: Document) -> list[int]:
    return [model["bytes"] for item in model_pulls["items"] for model in item["status"]["models"]]
