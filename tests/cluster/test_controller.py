"""The controller as a process with its own ServiceAccount's token: what it keeps, what it tells, how it is replaced."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.services import classic, llm, template
from tests.controlplane.cluster import Document
from tests.installation import NAMESPACE, Installation

pytestmark = pytest.mark.needs_own_plane

LEASE = "pullsizer-controller"
CONTROLLER = "pullsizer-controller"


def model_pulls(installed: Installation, namespace: str, service: str) -> list[Document]:
    items: list[Document] = installed.plane.get("modelpulls", None, namespace)["items"]
    return [item for item in items if item["spec"]["serviceRef"]["name"] == service]


def conditions(model_pull: Document) -> dict[str, tuple[str, str]]:
    found = model_pull.get("status", {}).get("conditions", ())
    return {item["type"]: (item["status"], item["reason"]) for item in found}


def measured(installed: Installation, namespace: str, service: str) -> Document:
    def known() -> list[Document]:
        found = model_pulls(installed, namespace, service)
        return [item for item in found if conditions(item).get("Measured", ("",))[0] == "True"]

    return installed.plane.until(known, 60, f"the model of {service} is measured")[0]


def events(installed: Installation, namespace: str, service: str) -> dict[str, str]:
    items = installed.plane.get("events", None, namespace)["items"]
    mine = (item for item in items if item["reportingComponent"] == "pullsizer")
    return {item["reason"]: item["message"] for item in mine if item["involvedObject"]["name"] == service}


def holder(installed: Installation) -> str:
    return str(installed.plane.get("lease", LEASE, NAMESPACE)["spec"].get("holderIdentity", ""))


def leads(installed: Installation) -> bool:
    return installed.metric("pullsizer_leader", "controller") == 1


@contextmanager
def second_controller(installed: Installation) -> Iterator[str]:
    """One that stands by, while it does."""
    name = "second-controller"
    installed.start_controller(name, port=installed.plane.free_port())
    log = installed.plane.folder / "logs" / f"{name}.log"
    installed.plane.until(lambda: "standing by" in log.read_text(), 30, "the second controller stands by")
    try:
        yield name
    finally:
        installed.plane.stop_process(name)


def test_an_llmisvc_and_its_annotations_are_in_a_modelpull_that_can_be_waited_for(
    installed: Installation, namespace: str
) -> None:
    service = llm("waited", {"model": {"uri": "hf://stub/model-41", "name": "m"}, "template": template()})
    service["metadata"]["annotations"]["pullsizer.dev/mode"] = "Recommend"
    installed.plane.apply(service, f"--namespace={namespace}")
    found = measured(installed, namespace, "waited")
    name = found["metadata"]["name"]
    wait = ["wait", "--for=condition=Measured", f"modelpull/{name}", f"--namespace={namespace}", "--timeout=5s"]
    assert "condition met" in installed.plane.kubectl(*wait)
    assert found["spec"]["overrides"] == {"pullsizer.dev/mode": "Recommend"}
    columns = installed.plane.kubectl("get", "mpull", name, f"--namespace={namespace}").splitlines()
    assert columns[0].split() == ["NAME", "SOURCE", "SIZE", "FILES", "MEMORY", "CPU", "DISK", "BASIS", "HEALTHY", "AGE"]
    assert "hf://stub/model-41" in columns[1]
    assert installed.plane.kubectl("explain", "mpull.status.recommendation.limits")


def test_a_pull_that_is_oom_killed_shows_in_its_modelpull_and_as_an_event(
    installed: Installation, namespace: str
) -> None:
    needs = {"sim.pullsizer.dev/needs-mib": "100000", "sim.pullsizer.dev/pull-time": "50ms"}
    installed.plane.apply(classic("killed", "hf://stub/model-42", **needs), f"--namespace={namespace}")

    def unhealthy() -> list[Document]:
        found = model_pulls(installed, namespace, "killed")
        return [item for item in found if conditions(item).get("PullHealthy") == ("False", "OOMKilled")]

    found = installed.plane.until(unhealthy, 90, "the kill is in the status")[0]
    last = found["status"]["history"][-1]
    assert last["outcome"] == "OOMKilled"
    assert last["resources"]["limits"]["memory"] == found["status"]["recommendation"]["limits"]["memory"]
    installed.plane.until(lambda: "PullOOMKilled" in events(installed, namespace, "killed"), 20, "the kill is told")
    told = events(installed, namespace, "killed")
    assert {"ModelMeasured", "PullSized", "PullOOMKilled"} <= told.keys()
    assert f"memory limit of {last['resources']['limits']['memory']}" in told["PullOOMKilled"]


def asked_about(hub: str, model: str) -> int:
    """How often the Hub was, so far."""
    with urllib.request.urlopen(f"{hub}/requests") as answer:
        return sum(times for path, times in json.load(answer)["paths"].items() if model in path.split("/"))


def test_a_deleted_modelpull_comes_back_and_goes_with_its_service(
    installed: Installation, namespace: str, hub: str
) -> None:
    plane = installed.plane
    plane.apply(classic("comes-back", "hf://stub/model-4343"), f"--namespace={namespace}")
    first = measured(installed, namespace, "comes-back")
    assert asked_about(hub, "model-4343") == 1
    plane.kubectl("delete", "mpull", first["metadata"]["name"], f"--namespace={namespace}")
    second = measured(installed, namespace, "comes-back")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert asked_about(hub, "model-4343") == 1
    plane.kubectl("delete", "inferenceservice", "comes-back", f"--namespace={namespace}")
    plane.until(lambda: not model_pulls(installed, namespace, "comes-back"), 60, "it goes with its service")


def test_a_restarted_controller_measures_nothing_again(installed: Installation, namespace: str) -> None:
    plane = installed.plane
    plane.apply([classic(f"kept-{n}", f"hf://stub/model-44{n}") for n in range(5)], f"--namespace={namespace}")
    before = [measured(installed, namespace, f"kept-{n}") for n in range(5)]
    assert plane.stop_process(CONTROLLER) == 0
    assert holder(installed) == ""

    installed.start_controller()
    plane.until(lambda: leads(installed), 30, "it leads again")
    plane.until(
        lambda: installed.metric("pullsizer_services", "controller", kind="InferenceService") >= 5, 30, "it saw all"
    )
    time.sleep(2)

    # Services of other tests come and go, so only those of this one count.
    after = [measured(installed, namespace, f"kept-{n}") for n in range(5)]
    times = [[model["measuredAt"] for item in found for model in item["status"]["models"]] for found in (before, after)]
    assert times[0] == times[1]


def test_when_one_controller_ends_the_next_takes_over_within_seconds(installed: Installation, namespace: str) -> None:
    plane = installed.plane
    with second_controller(installed):
        first = holder(installed)
        assert plane.stop_process(CONTROLLER) == 0
        began = time.monotonic()
        plane.until(lambda: holder(installed) not in ("", first), 20, "the second one leads")
        assert time.monotonic() - began < 5  # it looks every two seconds
        plane.apply(classic("taken-over", "hf://stub/model-45"), f"--namespace={namespace}")
        measured(installed, namespace, "taken-over")
    installed.start_controller()
    plane.until(lambda: leads(installed), 30, "the first one leads again")


def test_a_controller_that_lost_its_lease_ends_with_an_error(installed: Installation) -> None:
    plane = installed.plane
    log = plane.folder / "logs" / f"{CONTROLLER}.log"
    patch = json.dumps({"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 1}})
    plane.kubectl("patch", "lease", LEASE, f"--namespace={NAMESPACE}", "--type=merge", f"--patch={patch}")
    plane.until(lambda: "the lease is lost" in log.read_text(), 20, "it noticed")
    assert plane.processes.get(CONTROLLER).popen.wait(20) == 1
    installed.start_controller()
    plane.until(lambda: leads(installed), 40, "another one leads")
