"""The chart on a real API server, by the real helm, with the controller as a process of the release's account."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator

import pytest
import yaml

from tests.controlplane import ControlPlane, ControlPlaneError
from tests.controlplane.cluster import Cluster, Document
from tests.deploy.chart import CHART

pytestmark = pytest.mark.needs_own_plane

NAMESPACE = "platform"
RELEASE = "sizing"
HERE = f"--namespace={NAMESPACE}"
CONTROLLER = "pullsizer-controller"
CONFIGURATIONS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
KINDS = (
    "mutatingwebhookconfigurations,validatingwebhookconfigurations,customresourcedefinitions,deployments,services,"
    "poddisruptionbudgets,configmaps,secrets,leases,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings"
)
MODEL_PULL = {
    "apiVersion": "pullsizer.dev/v1alpha1",
    "kind": "ModelPull",
    "metadata": {"name": "isvc-bert-predictor-00000000", "namespace": "default"},
    "spec": {
        "serviceRef": {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": "bert"},
        "component": "predictor",
        "uris": ["hf://org/bert"],
    },
}


@pytest.fixture(scope="module")
def plane(control_plane: Cluster) -> Iterator[ControlPlane]:
    """One of this module's own: there is one Pullsizer in a cluster, and other tests have theirs in `control_plane`."""
    with ControlPlane.create(parts=[]) as plane:
        yield plane


@pytest.fixture
def released(plane: ControlPlane) -> Iterator[ControlPlane]:
    """With the chart installed in a namespace of no special name, and its controller at work."""
    plane.helm("install", RELEASE, str(CHART), HERE, "--create-namespace")
    try:
        start_controller(plane)
        yield plane
        plane.stop_process(CONTROLLER)
    finally:
        plane.helm("uninstall", RELEASE, HERE, "--ignore-not-found")


def start_controller(plane: ControlPlane) -> None:
    kubeconfig = plane.token_kubeconfig(NAMESPACE, CONTROLLER)
    flags = ["--namespace", NAMESPACE, "--host", "127.0.0.1", "--metrics-port", str(plane.free_port())]
    plane.spawn(CONTROLLER, [sys.executable, "-m", "pullsizer", "controller", *flags, "--kubeconfig", str(kubeconfig)])
    log = f"logs/{CONTROLLER}.log"
    plane.until(lambda: memory_limit(plane) == "4Gi", 30, f"the shipped policy is accepted ({log})")
    plane.until(lambda: all(bundles(plane)), 30, f"the webhook configurations have their caBundle ({log})")


def memory_limit(plane: ControlPlane) -> str:
    """Of the accepted policy's modelPullResources."""
    accepted = plane.get("configmap", "pullsizer-config-accepted", NAMESPACE)
    return str(yaml.safe_load(accepted["data"]["config.yaml"])["modelPullResources"]["limits"]["memory"])


def configurations(plane: ControlPlane) -> list[Document]:
    return [plane.get(kind, "pullsizer.dev") for kind in CONFIGURATIONS]


def bundles(plane: ControlPlane) -> list[str]:
    found = (webhook for item in configurations(plane) for webhook in item["webhooks"])
    return [webhook["clientConfig"].get("caBundle", "") for webhook in found]


def ours(plane: ControlPlane) -> set[str]:
    """What there is of Pullsizer, whoever made it, as kind/name."""
    found = plane.kubectl("get", KINDS, "--all-namespaces", "--output=name").split()
    return {re.sub(r"\..*?/", "/", name, count=1) for name in found if "pullsizer" in name}


def deleted(plane: ControlPlane) -> list[str]:
    """The resources that helm deleted so far, in order."""
    deletions = (event for event in plane.audit_events() if event["verb"] == "delete")
    return [event["objectRef"]["resource"] for event in deletions if event["userAgent"].startswith("Helm/")]


def test_a_new_value_is_accepted_a_rollback_takes_it_back_and_neither_touches_ca_bundle(released: ControlPlane) -> None:
    before = [(item["metadata"]["generation"], item["webhooks"]) for item in configurations(released)]

    released.helm("upgrade", RELEASE, str(CHART), HERE, "--set=modelPullResources.limits.memory=8Gi")
    released.until(lambda: memory_limit(released) == "8Gi", 10, "the new policy is accepted")
    # As Helm 3 does it.
    released.helm("upgrade", RELEASE, str(CHART), HERE, "--set=webhook.replicas=3", "--server-side=false")
    assert released.get("deployment", "pullsizer-webhook", NAMESPACE)["spec"]["replicas"] == 3
    released.helm("rollback", RELEASE, "2", HERE)
    released.until(lambda: memory_limit(released) == "8Gi", 10, "the policy of then is accepted again")

    assert [(item["metadata"]["generation"], item["webhooks"]) for item in configurations(released)] == before


def test_a_policy_edited_by_hand_is_a_conflict_that_force_conflicts_decides_for_the_values(
    released: ControlPlane,
) -> None:
    edited = json.dumps({"data": {"config.yaml": "modelPullResources: {limits: {memory: 16Gi}}"}})
    released.kubectl("patch", "configmap", "pullsizer-config", HERE, "--type=merge", f"--patch={edited}")
    released.until(lambda: memory_limit(released) == "16Gi", 10, "the edited policy is accepted")

    with pytest.raises(ControlPlaneError, match=r"conflict.*config\.yaml"):
        released.helm("upgrade", RELEASE, str(CHART), HERE)
    assert memory_limit(released) == "16Gi"
    released.helm("upgrade", RELEASE, str(CHART), HERE, "--force-conflicts")
    released.until(lambda: memory_limit(released) == "4Gi", 10, "the policy of the values is accepted again")


def test_what_is_uninstalled_calls_nobody_and_leaves_what_the_notes_say(released: ControlPlane) -> None:
    released.apply(MODEL_PULL)
    notes = released.helm("get", "notes", RELEASE, HERE)
    earlier = len(deleted(released))

    released.helm("uninstall", RELEASE, HERE)

    assert deleted(released)[earlier:][:2] == ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"]
    assert ours(released) == {
        "customresourcedefinition/modelpulls.pullsizer.dev",
        "configmap/pullsizer-config-accepted",
        "secret/pullsizer-ca",
        "secret/pullsizer-webhook-tls",
        "lease/pullsizer-controller",
    }
    # A release of the same name takes the definition up again, with the ModelPulls that there are.
    released.helm("install", RELEASE, str(CHART), HERE)
    assert released.get("modelpull", "isvc-bert-predictor-00000000", "default")["spec"] == MODEL_PULL["spec"]
    # The notes' last word.
    released.helm("uninstall", RELEASE, HERE)
    released.stop_process(CONTROLLER)
    for command in re.findall(r"^  kubectl (.* delete .*|delete .*)$", notes, flags=re.MULTILINE):
        released.kubectl(*shlex.split(command))
    assert not ours(released)
