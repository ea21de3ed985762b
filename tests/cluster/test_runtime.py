"""The classifier runtime, as KServe itself takes it: accepted, chosen, rendered to a pod, and its pull sized."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.services import classic, note, pods, pull_container
from tests.controlplane import ControlPlane, ControlPlaneError
from tests.controlplane.cluster import Document
from tests.deploy.render import ROOT, documents, kustomize
from tests.installation import Installation

pytestmark = pytest.mark.needs_own_plane

COMPONENTS = ROOT / "deploy" / "components"
EXAMPLES = ROOT / "deploy" / "examples"
NAME = "pullsizer-classifier"
IMAGE = "pullsizer-classifier:0.1.0"
KSERVE = "kserve/huggingfaceserver"
VIT = "hf://google/vit-base-patch16-224"


@pytest.fixture
def plane(installed: Installation) -> Iterator[ControlPlane]:
    yield installed.plane
    installed.plane.kubectl("delete", "clusterservingruntime", NAME, "--ignore-not-found")


def rendered(folder: Path, *components: str) -> Document:
    """The runtime, of an overlay with these components."""
    places = [os.path.relpath((COMPONENTS / name).resolve(), folder.resolve()) for name in components]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"components": places}))
    (runtime,) = documents(kustomize(folder))
    return runtime


def example(name: str) -> list[Document]:
    return documents((EXAMPLES / name).read_text())


def pod_of(plane: ControlPlane, namespace: str, service: Document) -> Document:
    found = plane.until(lambda: pods(plane, namespace, service), 60, f"pod of {service['metadata']['name']}")
    return found[0]


def serving(pod: Document) -> dict[str, Any]:
    container: dict[str, Any] = next(c for c in pod["spec"]["containers"] if c["name"] == "kserve-container")
    return container


def until_kserve_knows(plane: ControlPlane, runtime: Document, *, chosen: bool) -> None:
    """Until KServe's cache is so: it refuses a second runtime of the priority at which it chooses this one."""
    rival = json.loads(json.dumps(runtime))
    rival["metadata"] = {"name": "rival"}
    rival["spec"]["supportedModelFormats"][0] |= {"autoSelect": True, "priority": 100}

    def refused() -> bool:
        try:
            plane.kubectl("create", "--dry-run=server", "--validate=false", "-f", "-", stdin=json.dumps(rival))
        except ControlPlaneError as error:
            return "same priority" in str(error)
        return False

    plane.until(lambda: refused() is chosen, 30, f"KServe {'chooses' if chosen else 'leaves'} {NAME}")


def test_a_service_that_names_the_runtime_gets_its_container_and_a_sized_pull_and_no_other_service_does(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    runtime = rendered(tmp_path, "runtime")
    plane.apply(runtime)
    until_kserve_knows(plane, runtime, chosen=False)
    (named,), unnamed = example("runtime-text.yaml"), classic("unnamed", VIT)
    plane.apply([named, unnamed], f"--namespace={namespace}")

    pod = pod_of(plane, namespace, named)
    container, source = serving(pod), runtime["spec"]["containers"][0]

    assert container["image"] == IMAGE
    assert container["args"] == ["--model_name=sentiment", "--model_dir=/mnt/models", "--max_instances=256"]
    assert {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")} == {
        "startupProbe": "/v2/health/ready",
        "readinessProbe": "/v2/health/ready",
        "livenessProbe": "/v2/health/live",
    }
    assert container["securityContext"] == source["securityContext"]
    assert container["resources"] == source["resources"]
    assert {"/mnt/models", "/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    annotations = pod["metadata"]["annotations"]
    assert {name: annotations[f"prometheus.io/{name}"] for name in ("scrape", "port", "path")} == {
        "scrape": "true",
        "port": "8080",
        "path": "/metrics",
    }
    assert note(pod)["basis"] == "model"
    assert pull_container(pod)["resources"]["requests"]["ephemeral-storage"]
    service = plane.get("service", "sentiment-predictor", namespace)
    assert {port["name"]: (port["port"], port["targetPort"]) for port in service["spec"]["ports"]} == {
        "http1": (80, 8080),
        "h2c": (8081, 8081),
    }
    assert serving(pod_of(plane, namespace, unnamed))["image"].startswith(KSERVE)


def test_with_autoselect_kserve_chooses_it_for_a_service_that_names_no_runtime(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    runtime = rendered(tmp_path, "runtime", "runtime-autoselect")
    plane.apply(runtime)
    until_kserve_knows(plane, runtime, chosen=True)
    unnamed = classic("unnamed", VIT)
    plane.apply(unnamed, f"--namespace={namespace}")

    pod = pod_of(plane, namespace, unnamed)

    assert serving(pod)["image"] == IMAGE
    assert note(pod)["basis"] == "model"
    status = plane.get("inferenceservice", "unnamed", namespace)["status"]
    assert status["clusterServingRuntimeName"] == NAME


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("runtime-*.yaml")), ids=lambda file: file.name)
def test_the_api_server_and_kserve_accept_the_examples_as_they_are(
    plane: ControlPlane, namespace: str, file: Path
) -> None:
    plane.kubectl("create", "--dry-run=server", "--validate=strict", f"--namespace={namespace}", "-f", str(file))
