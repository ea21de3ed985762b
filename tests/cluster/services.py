"""The services of the cluster tests, one for each path by which KServe makes a pull container."""

from __future__ import annotations

import json
from typing import Any

from tests.controlplane.cluster import Cluster, Document

ISVC_LABEL = "serving.kserve.io/inferenceservice"
LLM_LABEL = "app.kubernetes.io/name"
SIZING = "pullsizer.dev/sizing"


def isvc(name: str, spec: dict[str, Any], **annotations: str) -> Document:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec,
    }


def llm(name: str, spec: dict[str, Any], **annotations: str) -> Document:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec,
    }


def model(uri: str, **more: Any) -> dict[str, Any]:
    """A predictor that pulls a Hugging Face model."""
    return {"model": {"modelFormat": {"name": "huggingface"}, "storageUri": uri, **more}}


def classic(name: str, uri: str, **annotations: str) -> Document:
    return isvc(name, {"predictor": model(uri)}, **annotations)


def custom(uri: str) -> dict[str, Any]:
    """A component whose container is the user's own, and whose model KServe pulls all the same."""
    container = {"name": "kserve-container", "image": "custom", "env": [{"name": "STORAGE_URI", "value": uri}]}
    return {"containers": [container]}


def template() -> dict[str, Any]:
    resources = {"cpu": "1", "memory": "2Gi"}
    main = {"name": "main", "image": "vllm", "resources": {"requests": resources, "limits": resources}}
    return {"containers": [main]}


def pods(cluster: Cluster, namespace: str, service: Document) -> list[Document]:
    """The pods of a service."""
    label = ISVC_LABEL if service["kind"] == "InferenceService" else LLM_LABEL
    selector = f"--selector={label}={service['metadata']['name']}"
    found = cluster.kubectl("get", "pods", f"--namespace={namespace}", selector, "--output=json")
    items: list[Document] = json.loads(found)["items"]
    return items


def pull_container(pod: Document) -> Document:
    """The container that pulls, as it came out of admission; what differs from pod to pod by chance is taken out."""
    container: Document = next(c for c in pod["spec"]["initContainers"] if c["name"].startswith("storage-initializer"))
    for mount in container.get("volumeMounts", ()):
        if mount["name"].startswith("kube-api-access-"):
            mount["name"] = "kube-api-access"
    return container


def note(pod: Document) -> Document:
    """What Pullsizer wrote about the pod's pull container; empty where it wrote nothing."""
    text = pod["metadata"].get("annotations", {}).get(SIZING)
    containers: Document = json.loads(text)["containers"] if text else {}
    return next(iter(containers.values()), {})
