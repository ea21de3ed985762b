"""A pod in, a patch out, for every shape that KServe makes. `make golden-update` writes what is now, to be read."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import REGISTRY

from pullsizer.admission.caches import Caches
from pullsizer.admission.mutate import Mutator
from pullsizer.admission.review import Request
from pullsizer.admission.waiting import Waiters
from pullsizer.names import SIZING
from tests.golden.cases import CASES, FOLDER, NAMESPACE, Json, outcome, patched, read, told

each_case = pytest.mark.parametrize("case", CASES)


def request(pod: Json) -> Request:
    return Request(
        api_version="admission.k8s.io/v1",
        uid="00000000-0000-0000-0000-000000000000",
        kind="Pod",
        operation="CREATE",
        namespace=NAMESPACE,
        object=copy.deepcopy(pod),
        old_object={},
        user="system:serviceaccount:kube-system:replicaset-controller",
        dry_run=False,
        subresource="",
    )


async def admitted(caches: Caches, pod: Json) -> tuple[Json, Sequence[Any]]:
    """The pod as the API server has it afterwards, and the patch."""
    operations = await Mutator(caches, Waiters()).operations(request(pod))
    return patched(pod, operations), operations


def outcomes() -> dict[str, float]:
    return {
        sample.labels["outcome"]: sample.value
        for metric in REGISTRY.collect()
        if metric.name == "pullsizer_admission_pods"
        for sample in metric.samples
        if "_total" in sample.name
    }


@each_case
def test_the_container_and_the_note_are_as_expected(case: str) -> None:
    assert outcome(case) == read(case, "expected.yaml")


@each_case
async def test_admission_sends_what_was_decided_and_counts_it(case: str) -> None:
    expected, before = read(case, "expected.yaml"), outcomes()
    pod = read(case, "pod.yaml")
    result, operations = await admitted(told(case), pod)
    assert [name for name, count in outcomes().items() if count != before.get(name, 0)] == [expected["outcome"]]
    assert bool(operations) == ("changed" in expected)
    containers = result["spec"].get("initContainers", [])
    changed = [item for item, was in zip(containers, pod["spec"].get("initContainers", []), strict=True) if item != was]
    assert changed == expected.get("changed", [])


@each_case
async def test_nothing_else_of_the_pod_is_touched(case: str) -> None:
    pod = read(case, "pod.yaml")
    result, operations = await admitted(told(case), pod)
    assert {operation["op"] for operation in operations} <= {"add"}
    for was, container in zip(
        pod["spec"].get("initContainers", ()), result["spec"].get("initContainers", ()), strict=True
    ):
        for key in ("resources", "env", "volumeMounts"):
            was.pop(key, None)
            container.pop(key, None)
    for each in (pod, result):
        annotations = each["metadata"].get("annotations", {})
        annotations.pop(SIZING, None)
        if not annotations:
            each["metadata"].pop("annotations", None)
    assert result == pod


@each_case
async def test_a_second_call_on_what_the_first_made_changes_nothing(case: str) -> None:
    caches = told(case)
    result, operations = await admitted(caches, read(case, "pod.yaml"))
    before = outcomes()
    again, second = await admitted(caches, result)  # another replica may be asked
    assert list(second) == []
    assert again == result
    if operations:
        assert outcomes()["unchanged"] == before["unchanged"] + 1


@each_case
async def test_every_replica_answers_alike(case: str) -> None:
    pod = read(case, "pod.yaml")
    answers = [await admitted(told(case), pod) for _ in range(2)]
    assert answers[0] == answers[1]


async def test_until_a_policy_was_accepted_nothing_is_changed() -> None:
    caches = told("classic-storage-uri")
    caches.remove_accepted({})
    _, operations = await admitted(caches, read("classic-storage-uri", "pod.yaml"))
    assert list(operations) == []


@each_case
def test_the_case_says_which_builder_of_kserves_it_follows(case: str) -> None:
    first = (FOLDER / case / "pod.yaml").read_text().partition("\n")[0]
    assert first.startswith("# Follows KServe v0.20.0, pkg/")
