"""What `kubectl apply` says to what is wrong, and what becomes of objects that were stored wrong while we were down."""

from __future__ import annotations

import json

import pytest

from tests.cluster.services import classic
from tests.controlplane import ControlPlaneError
from tests.controlplane.cluster import Document
from tests.installation import NAMESPACE, Installation

pytestmark = pytest.mark.needs_own_plane

URI = "hf://google/vit-base-patch16-224"


def policy(text: str) -> Document:
    metadata = {"name": "pullsizer-config", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.yaml": text}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("mode: Off", "YAML reads an unquoted off as false; write Auto, Recommend or Disabled"),
        ("modelPullResource: {}", "modelPullResource: unknown key; did you mean 'modelPullResources'"),
        ("bounds: {max: {memory: 15gigs}}", "bounds.max.memory: '15gigs' is not a quantity"),
        ("modelPullResources: {requests: {memory: 8Gi}, limits: {memory: 1Gi}}", "limit is below the memory request"),
        ("mode: [", "not valid YAML"),
    ],
)
def test_a_wrong_policy_is_refused_by_kubectl_with_key_value_and_remedy(
    installed: Installation, text: str, sentence: str
) -> None:
    with pytest.raises(ControlPlaneError) as refusal:
        installed.plane.apply(policy(text))

    assert sentence in str(refusal.value)
    assert installed.plane.get("configmap", "pullsizer-config", NAMESPACE)["data"]["config.yaml"] == installed.policy


def test_a_wrong_annotation_is_refused_and_an_unknown_one_warned_of(installed: Installation, namespace: str) -> None:
    plane = installed.plane
    with pytest.raises(ControlPlaneError, match=r"pullsizer\.dev/model-size: '15gigs' is not a quantity"):
        plane.apply(classic("a", URI, **{"pullsizer.dev/model-size": "15gigs"}), f"--namespace={namespace}")
    limits = {"pullsizer.dev/memory-request": "2Gi", "pullsizer.dev/memory-limit": "1Gi"}
    with pytest.raises(ControlPlaneError, match="raise the limit or lower the request"):
        plane.apply(classic("b", URI, **limits), f"--namespace={namespace}")

    plane.apply(classic("c", URI, **{"pullsizer.dev/memroy-limit": "1Gi"}), f"--namespace={namespace}")


def test_a_service_stored_with_a_bad_annotation_while_we_were_down_can_be_changed_and_deleted(
    installed: Installation, namespace: str
) -> None:
    plane = installed.plane
    bad = classic("bad", URI, **{"pullsizer.dev/model-size": "15gigs"})
    plane.stop_process("pullsizer-webhook")
    try:
        plane.apply(bad, f"--namespace={namespace}")
    finally:
        installed.start_webhook()

    plane.kubectl("label", "inferenceservice", "bad", f"--namespace={namespace}", "team=search")
    with pytest.raises(ControlPlaneError, match="is not a quantity"):
        plane.kubectl(
            "annotate", "inferenceservice", "bad", f"--namespace={namespace}", "--overwrite",
            "pullsizer.dev/model-size=16gigs",
        )  # fmt: skip
    plane.kubectl("delete", "inferenceservice", "bad", f"--namespace={namespace}", "--timeout=30s")


def test_a_policy_stored_wrong_while_we_were_down_leaves_the_last_good_one_in_force(installed: Installation) -> None:
    plane = installed.plane
    plane.stop_process("pullsizer-webhook")
    try:
        plane.apply(policy("mode: Off"))

        def told() -> bool:
            events = plane.get("events", namespace=NAMESPACE)["items"]
            return any("write Auto, Recommend or Disabled" in json.dumps(event) for event in events)

        plane.until(told, 20, "an Event on the ConfigMap says what is wrong")
        accepted = plane.get("configmap", "pullsizer-config-accepted", NAMESPACE)["data"]["config.yaml"]
        assert accepted == installed.policy
        assert installed.metric("pullsizer_policy_accepted", role="controller") == 0
    finally:
        installed.start_webhook()
        installed.set_policy(installed.policy)
