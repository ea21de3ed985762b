"""The pods that KServe made of the demo's services."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.controlplane import ControlPlane
from tests.demo.report import Sized, sized

NAMESPACE: Final = "demo"
_LABELS: Final = {
    "InferenceService": "serving.kserve.io/inferenceservice",
    "LLMInferenceService": "app.kubernetes.io/name",
}


def until_sized(plane: ControlPlane, service: dict[str, Any]) -> tuple[Sized, dict[str, Any]]:
    """What the service's pull got, and the pod."""
    title = f"{service['kind']} {service['metadata']['name']}"
    found = plane.until(lambda: _pull(plane, service), 60, f"{title} is sized")
    assert found is not None
    return found


def _pull(plane: ControlPlane, service: dict[str, Any]) -> tuple[Sized, dict[str, Any]] | None:
    name = service["metadata"]["name"]
    selector = f"--selector={_LABELS[service['kind']]}={name}"
    found = plane.kubectl("get", "pods", f"--namespace={NAMESPACE}", selector, "--output=json")
    pairs = ((sized(name, pod), pod) for pod in json.loads(found)["items"])
    return next(((pull, pod) for pull, pod in pairs if pull is not None), None)
