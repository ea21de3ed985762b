"""Models that cannot be measured: the pod is made, and everybody who looks is told why."""

from __future__ import annotations

import json

import pytest

from tests.cluster.services import classic, note, pods
from tests.controlplane.cluster import Document
from tests.installation import Installation

pytestmark = pytest.mark.needs_own_plane

REASONS = {
    "metadata-address": ("http://169.254.169.254/latest/meta-data", "AddressNotAllowed"),
    "private": ("hf://stub/private", "Unauthorized"),
    "broken": ("hf://stub/status-500", "SourceUnavailable"),
    "gigabyte": ("hf://stub/gigabyte", "InvalidAnswer"),
    "silent": ("hf://stub/never", "Timeout"),
}


@pytest.mark.timeout(120)
def test_pods_of_models_that_cannot_be_measured_get_the_default_and_a_condition_and_an_event_say_why(
    installed: Installation, namespace: str
) -> None:
    plane = installed.plane
    # One that nobody else asks about: of the others an answer may be known from another test.
    own = f"{REASONS['metadata-address'][0]}/{namespace}"
    services = {name: classic(name, uri) for name, (uri, _) in REASONS.items()}
    services["metadata-address"] = classic("metadata-address", own)
    before = measured(installed, "AddressNotAllowed")
    plane.apply(services.values(), f"--namespace={namespace}")

    for name, (_, reason) in REASONS.items():
        assert note(first_pod(installed, namespace, services[name]))["basis"] == "default"

        def told(name: str = name, reason: str = reason) -> bool:
            told_owner = "MeasureFailed" in events(installed, namespace, name)
            return told_owner and reason in conditions(installed, namespace, name)

        plane.until(told, 40, f"{name}: {reason} in the ModelPull, and an Event")
    assert measured(installed, "AddressNotAllowed") > before


def first_pod(installed: Installation, namespace: str, service: Document) -> Document:
    plane = installed.plane
    pod = plane.until(lambda: next(iter(pods(plane, namespace, service)), None), 60, "a pod is made")
    assert pod is not None
    return pod


def conditions(installed: Installation, namespace: str, service: str) -> str:
    """Of the service's ModelPull, those that are false."""
    items: list[Document] = installed.plane.get("modelpulls", namespace=namespace)["items"]
    of_service = [item for item in items if item["spec"]["serviceRef"]["name"] == service]
    return json.dumps(
        [
            condition
            for item in of_service
            for condition in item.get("status", {}).get("conditions", ())
            if (condition["type"], condition["status"]) == ("Measured", "False")
        ]
    )


def events(installed: Installation, namespace: str, service: str) -> str:
    items: list[Document] = installed.plane.get("events", namespace=namespace)["items"]
    return json.dumps([item for item in items if item["involvedObject"]["name"] == service])


def measured(installed: Installation, reason: str) -> float:
    return installed.metric("pullsizer_measurements_total", role="controller", reason=reason)
