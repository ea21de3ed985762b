"""Every path by which KServe makes a pull container, through its real controllers to a real pod.

Each service is made twice: where Pullsizer sizes, and in a namespace that opted out. The whole pull container must be
the same but for its resources, and those must be what the law says of the model.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.services import classic, custom, isvc, llm, model, note, pods, pull_container, template
from tests.controlplane import ControlPlane
from tests.controlplane.cluster import Document
from tests.installation import Installation

pytestmark = pytest.mark.needs_own_plane

SEVEN_B = "hf://iflytek/Spark-Formalizer-7B"
SMALL = "hf://stepfun-ai/GOT-OCR-2.0-hf"
KSERVE_DEFAULT = {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
# 15.2 GB, largest file 5.0 GB: Xet holds whole files (100 MiB + 4749 MiB, limit a quarter more)
# and the CPU that the serving container requests anyway is free: of all containers here that is cpu 1, memory 2Gi.
SEVEN_B_GETS = {
    "requests": {"cpu": "1", "memory": "4864Mi", "ephemeral-storage": "15Gi"},
    "limits": {"cpu": "2", "memory": "6Gi"},
}
# Of several sources: memory of the one that needs most, disk of all: 1.05 x 16.66 GB and 64Mi each, in steps of 256Mi.
BOTH_GET = {
    "requests": {"cpu": "1", "memory": "4864Mi", "ephemeral-storage": "16896Mi"},
    "limits": {"cpu": "2", "memory": "6Gi"},
}


@dataclass(frozen=True)
class Path:
    """A service, which of its pods is looked at, and what its pull container gets."""

    service: Document
    component: str
    resources: dict[str, Any]
    basis: str = "model"


S3_UNMEASURED = {
    # modelPullResources, and the request raised to what the app requests anyway
    "requests": {"cpu": "1", "memory": "2Gi"},
    "limits": {"cpu": "2", "memory": "4Gi"},
}

PATHS = {
    "storageUri": Path(classic("classic", SEVEN_B), "predictor", SEVEN_B_GETS),
    "storage": Path(
        isvc(
            "storage-spec",
            {
                "predictor": {
                    "model": {
                        "modelFormat": {"name": "sklearn"},
                        "storage": {"key": "store", "path": "models/iris", "parameters": {"bucket": "acme"}},
                    }
                }
            },
        ),
        "predictor",
        S3_UNMEASURED,
        "default",
    ),
    "storageUris": Path(
        isvc(
            "several",
            {
                "predictor": {
                    "model": {"modelFormat": {"name": "huggingface"}},
                    "storageUris": [
                        {"uri": SEVEN_B, "mountPath": "/mnt/models/a"},
                        {"uri": SMALL, "mountPath": "/mnt/models/b"},
                    ],
                }
            },
        ),
        "predictor",
        BOTH_GET,
    ),
    "transformer": Path(
        isvc("with-transformer", {"predictor": model(SMALL), "transformer": custom(SEVEN_B)}),
        "transformer",
        SEVEN_B_GETS,
    ),
    "explainer": Path(
        isvc("with-explainer", {"predictor": model(SMALL), "explainer": custom(SEVEN_B)}), "explainer", SEVEN_B_GETS
    ),
    "LLM single-node": Path(
        llm("llm", {"model": {"uri": SEVEN_B, "name": "m"}, "replicas": 1, "template": template()}),
        "llminferenceservice-workload",
        SEVEN_B_GETS,
    ),
    "LLM prefill": Path(
        llm(
            "llm-pd",
            {
                "model": {"uri": SEVEN_B, "name": "m"},
                "replicas": 1,
                "template": template(),
                "prefill": {"replicas": 1, "template": template()},
            },
        ),
        "llminferenceservice-workload-prefill",
        SEVEN_B_GETS,
    ),
    "LLM LoRA": Path(
        llm(
            "llm-lora",
            {
                "model": {
                    "uri": SEVEN_B,
                    "name": "m",
                    "lora": {"adapters": [{"name": "a", "uri": SMALL}]},
                },
                "replicas": 1,
                "template": template(),
            },
        ),
        "llminferenceservice-workload",
        BOTH_GET,
    ),
}

STORE = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "storage-config"},
    "stringData": {"store": '{"type": "s3", "access_key_id": "a", "secret_access_key": "b", "bucket": "acme"}'},
}


@pytest.fixture(scope="module")
def namespaces(installed: Installation) -> Iterator[tuple[str, str]]:
    """Two namespaces with every service in them: one in which pulls are sized, one that opted out."""
    plane = installed.plane
    suffix = secrets.token_hex(3)
    sized, opted_out = f"sized-{suffix}", f"opted-out-{suffix}"
    for name, labels in ((sized, {}), (opted_out, {"pullsizer.dev/inject": "disabled"})):
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        plane.apply([STORE, *(path.service for path in PATHS.values())], f"--namespace={name}")
    yield sized, opted_out
    plane.kubectl("delete", "namespace", sized, opted_out, "--wait=false")


def pod_of(plane: ControlPlane, namespace: str, path: Path) -> Document:
    def found() -> Document | None:
        key = "component" if path.service["kind"] == "InferenceService" else "app.kubernetes.io/component"
        items = pods(plane, namespace, path.service)
        return next((pod for pod in items if pod["metadata"]["labels"].get(key) == path.component), None)

    pod = plane.until(found, 60, f"pod of {path.service['metadata']['name']} in {namespace}")
    assert pod is not None
    return pod


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_the_pull_container_is_kserves_own_with_the_resources_that_its_model_needs(
    installed: Installation, namespaces: tuple[str, str], path: Path
) -> None:
    sized, opted_out = (pod_of(installed.plane, namespace, path) for namespace in namespaces)

    ours, theirs = pull_container(sized), pull_container(opted_out)

    assert theirs["resources"] == KSERVE_DEFAULT
    assert ours["resources"] == path.resources
    assert {**ours, "resources": None} == {**theirs, "resources": None}
    assert note(sized)["basis"] == path.basis
    assert note(opted_out) == {}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_nothing_else_of_the_pod_is_touched(installed: Installation, namespaces: tuple[str, str], path: Path) -> None:
    sized, opted_out = (pod_of(installed.plane, namespace, path)["spec"] for namespace in namespaces)

    for spec in (sized, opted_out):
        for volume in spec["volumes"]:
            volume["name"] = "token" if volume["name"].startswith("kube-api-access-") else volume["name"]
        for container in spec["containers"]:
            for mount in container.get("volumeMounts", ()):
                mount["name"] = "token" if mount["name"].startswith("kube-api-access-") else mount["name"]
        for name in ("initContainers", "nodeName"):
            spec.pop(name, None)
    assert _without_namespace(sized, namespaces) == _without_namespace(opted_out, namespaces)


def _without_namespace(value: Any, namespaces: tuple[str, str]) -> Any:
    """KServe writes the namespace into arguments and environments."""
    if isinstance(value, dict):
        return {key: _without_namespace(item, namespaces) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_namespace(item, namespaces) for item in value]
    if isinstance(value, str):
        for namespace in namespaces:
            value = value.replace(namespace, "NAMESPACE")
    return value
