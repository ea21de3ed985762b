from __future__ import annotations

from typing import Any

import pytest

from pullsizer.controller.outcomes import outcomes
from tests.unit.controller.examples import ended, pod


def of(**status: Any) -> list[tuple[str, int]]:
    found = pod(**status)
    return [(one.result, one.exit_code) for one in outcomes(found, found["spec"]["initContainers"][0])]


@pytest.mark.parametrize(
    ("reason", "code", "expected"),
    [
        ("Completed", 0, "Succeeded"),
        ("OOMKilled", 137, "OOMKilled"),
        ("OOMKilled", 1, "OOMKilled"),
        ("OOMKilled", 0, "OOMKilled"),
        ("Error", 137, "Failed"),
        ("Error", 1, "Failed"),
        ("", 0, "Succeeded"),
    ],
)
def test_the_reason_counts_before_the_exit_code(reason: str, code: int, expected: str) -> None:
    assert of(restartCount=0, state=ended(reason, code)) == [(expected, code)]


def test_a_crash_loop_tells_of_the_run_before() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert of(restartCount=3, state=waiting, lastState=ended("OOMKilled", 137)) == [("OOMKilled", 137)]


def test_a_killed_pull_in_an_evicted_pod_was_evicted() -> None:
    found = pod(restartCount=0, state=ended("Error", 137))
    found["status"]["reason"] = "Evicted"
    assert outcomes(found, found["spec"]["initContainers"][0])[0].result == "Evicted"


def test_a_completed_pull_in_a_pod_evicted_later_succeeded() -> None:
    found = pod(restartCount=0, state=ended("Completed", 0))
    found["status"]["reason"] = "Evicted"
    assert outcomes(found, found["spec"]["initContainers"][0])[0].result == "Succeeded"


def test_the_same_end_seen_twice_has_the_same_id_and_another_run_another() -> None:
    first = pod(restartCount=0, state=ended("OOMKilled", 137, "containerd://1"))
    again = pod(
        restartCount=1,
        state=ended("OOMKilled", 137, "containerd://2"),
        lastState=ended("OOMKilled", 137, "containerd://1"),
    )
    container = first["spec"]["initContainers"][0]
    (one,) = outcomes(first, container)
    before, after = outcomes(again, container)
    assert before.id == one.id
    assert after.id != one.id


def test_without_a_container_id_runs_are_told_apart_by_their_number() -> None:
    run = ended("Error", 1)
    del run["terminated"]["containerID"]
    found = pod(restartCount=1, state=run, lastState=run)
    assert len({one.id for one in outcomes(found, found["spec"]["initContainers"][0])}) == 2


@pytest.mark.parametrize("status", [{}, {"restartCount": 0, "state": {"running": {}}}, {"state": None}])
def test_a_pull_that_has_not_ended_has_no_outcome(status: dict[str, Any]) -> None:
    assert of(**status) == []


def test_it_says_what_the_container_had() -> None:
    found = pod(restartCount=0, state=ended("OOMKilled", 137))
    item = outcomes(found, found["spec"]["initContainers"][0])[0].to_status()
    assert item["resources"] == {"limits": {"memory": "1Gi"}, "requests": {"memory": "100Mi"}}
    assert item["outcome"] == "OOMKilled"
