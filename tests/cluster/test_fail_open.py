"""Whatever happens to Pullsizer, pods are made; and what it sized stays sized."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.services import SIZING
from tests.controlplane import ControlPlane
from tests.controlplane.cluster import Document
from tests.installation import CONFIGURATION, Installation

pytestmark = pytest.mark.needs_own_plane

URI = "hf://baidu/ERNIE-4.5-VL-28B-A3B-Thinking"


def pull_pod(**annotations: str) -> Document:
    """A pod as an LLMInferenceService makes one: the container is in it already, and KServe's webhook not asked."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "pull-",
            "labels": {"app.kubernetes.io/part-of": "llminferenceservice"},
            "annotations": annotations,
        },
        "spec": {
            "schedulerName": "none",
            "initContainers": [
                {
                    "name": "storage-initializer",
                    "image": "kserve/storage-initializer:v0.20.0",
                    "args": [URI, "/mnt/models"],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "100Mi"},
                        "limits": {"cpu": "1", "memory": "1Gi"},
                    },
                }
            ],
            "containers": [{"name": "main", "image": "none"}],
        },
    }


def make(plane: ControlPlane, namespace: str, pod: Document) -> Document:
    """Create a pod; fails where the API server refuses it."""
    made: Document = json.loads(
        plane.kubectl("create", f"--namespace={namespace}", "-f", "-", "-o", "json", stdin=json.dumps(pod))
    )
    return made


def is_sized(pod: Document) -> bool:
    return SIZING in pod["metadata"].get("annotations", {})


SIZE = {"pullsizer.dev/model-size": "15Gi"}


def test_pods_are_made_while_the_webhook_is_down_and_sized_again_when_it_is_back(
    installed: Installation, namespace: str
) -> None:
    plane = installed.plane
    assert is_sized(make(plane, namespace, pull_pod(**SIZE)))

    plane.stop_process("pullsizer-webhook")
    assert not is_sized(make(plane, namespace, pull_pod(**SIZE)))
    installed.start_webhook()

    plane.until(lambda: is_sized(make(plane, namespace, pull_pod(**SIZE))), 30, "pods are sized again")


def test_pods_are_made_with_a_bad_certificate_and_the_caBundle_is_put_right_within_seconds(  # noqa: N802
    installed: Installation, namespace: str
) -> None:
    plane = installed.plane
    stranger = base64.b64encode(plane.ca.read_bytes()).decode()
    operations = [
        {"op": "replace", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": stranger} for index in (0, 1)
    ]
    patch = ["--type=json", f"--patch={json.dumps(operations)}"]
    plane.kubectl("patch", "mutatingwebhookconfiguration", CONFIGURATION, *patch)

    make(plane, namespace, pull_pod(**SIZE))

    plane.until(lambda: is_sized(make(plane, namespace, pull_pod(**SIZE))), 20, "the controller restored the caBundle")


def test_no_pod_is_refused_while_the_webhook_restarts_and_while_install_yaml_is_applied_again(
    installed: Installation, namespace: str
) -> None:
    plane = installed.plane

    def restart() -> None:
        plane.stop_process("pullsizer-webhook")
        installed.start_webhook()

    made = during(restart, plane, namespace)
    assert made, "pods were made meanwhile"

    made = during(installed.apply, plane, namespace)

    assert made
    assert all(map(is_sized, made)), "applying the manifests again loses no sizing"


def during(action: Callable[[], Any], plane: ControlPlane, namespace: str) -> list[Document]:
    """The pods that were made, one after another, while something went on."""
    made: list[Document] = []
    done = threading.Event()
    errors: list[BaseException] = []

    def create() -> None:
        try:
            while not done.is_set():
                made.append(make(plane, namespace, pull_pod(**SIZE)))
        except BaseException as error:  # noqa: BLE001 - it is raised below, on the test's own thread
            errors.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    try:
        action()
    finally:
        done.set()
        thread.join()
    if errors:
        raise errors[0]
    return made


def test_pods_are_made_and_sized_while_the_controller_is_gone(installed: Installation, namespace: str) -> None:
    plane = installed.plane
    plane.stop_process("pullsizer-controller")
    try:
        made = make(plane, namespace, pull_pod())
        assert json.loads(made["metadata"]["annotations"][SIZING])["containers"]["storage-initializer"]["basis"] == (
            "default"
        ), "with no answer in sight the cluster-wide default counts"
        assert is_sized(make(plane, namespace, pull_pod(**SIZE)))
    finally:
        installed.start_controller()


def test_both_roles_outlive_the_api_server(installed: Installation, namespace: str) -> None:
    plane = installed.plane
    plane.restart_part("kube-apiserver")

    plane.until(lambda: is_sized(make(plane, namespace, pull_pod(**SIZE))), 60, "pods are sized after the restart")
    assert installed.metric("pullsizer_admission_pods_total", outcome="failed_open") == 0
