"""The first pod of a new service already has what its model needs: the webhook waits for the controller's answer."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.cluster.services import ISVC_LABEL, classic, note
from tests.installation import Installation

pytestmark = pytest.mark.needs_own_plane

COUNT = 200


def test_first_pods_of_200_services_made_at_once_are_sized_from_their_measured_models(
    installed: Installation, namespace: str
) -> None:
    plane = installed.plane
    # 200 models, each asked for the first time, of a Hub that takes 0.3 s to answer.
    run = secrets.randbelow(1 << 30) * 1000
    services = [classic(f"s{number}", f"hf://stub/model-{run + number}") for number in range(COUNT)]
    plane.apply(services, f"--namespace={namespace}")

    def pods() -> list[dict[str, object]]:
        found = plane.kubectl("get", "pods", f"--namespace={namespace}", f"--selector={ISVC_LABEL}", "--output=json")
        items: list[dict[str, object]] = json.loads(found)["items"]
        return items if len(items) >= COUNT else []

    made = plane.until(pods, 240, f"{COUNT} pods", pause=1)
    by_model = sum(note(pod).get("basis") == "model" for pod in made)

    assert by_model >= 0.99 * COUNT, f"{by_model} of {COUNT} pods were sized from their models"
