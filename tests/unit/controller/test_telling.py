from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pullsizer.controller import telling
from pullsizer.controller.events import Note
from pullsizer.controller.inventory import Service, read_pod, read_service
from pullsizer.kserve import DEFAULT
from tests.unit.controller.examples import ended, isvc, pod

CREATED = datetime(2026, 11, 22, 10, 0, tzinfo=UTC).timestamp()


def service(**annotations: str) -> Service:
    found = read_service(isvc(**annotations))
    assert found is not None
    return found


def told(item: dict[str, Any], now: float = CREATED + 5) -> list[Note]:
    found = read_pod(item, DEFAULT)
    assert found is not None
    return list(telling.of_pod(service(), found, now))


def sized(to: dict[str, Any] | None = None, **entry: Any) -> dict[str, Any]:
    """A pod with the webhook's note, whose container has what the note says."""
    item = pod()
    after = to or {"requests": {"memory": "1Gi"}, "limits": {"memory": "4Gi", "cpu": "2"}}
    before = {"requests": {"memory": "100Mi"}, "limits": {"memory": "1Gi", "cpu": "1"}}
    entry = {"from": before, "to": after, "basis": "model", "why": ["59 GB in 48 files"], **entry}
    item["spec"]["initContainers"][0]["resources"] = after
    text = json.dumps({"version": "1", "containers": {"storage-initializer": entry}})
    item["metadata"]["annotations"]["pullsizer.dev/sizing"] = text
    return item


def test_a_sized_pull_is_told_with_what_it_got_and_why() -> None:
    (note,) = told(sized())
    assert note.reason == "PullSized"
    assert note.text == (
        "Pod bert-1: storage-initializer gets memory 1Gi/4Gi instead of 100Mi/1Gi, cpu 2 instead of 1 "
        "because 59 GB in 48 files"
    )


def test_a_pull_that_was_left_alone_is_told_with_the_reason() -> None:
    same = {"requests": {"memory": "100Mi"}, "limits": {"memory": "1Gi", "cpu": "1"}}
    (note,) = told(sized(to=same, why=["left alone: it would not be valid"]))
    assert note.reason == "PullNotSized"
    assert note.text.endswith("stays as it is: left alone: it would not be valid")


def test_a_note_that_is_not_what_the_pod_has_is_not_believed() -> None:
    item = sized()
    item["spec"]["initContainers"][0]["resources"] = {"limits": {"memory": "1Gi"}}
    assert told(item) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"containers": 3}', '{"containers": {"storage-initializer": {}}}'])
def test_a_note_that_cannot_be_read_is_nothing(text: str) -> None:
    item = pod()
    item["metadata"]["annotations"]["pullsizer.dev/sizing"] = text
    assert told(item) == []


def test_an_old_pods_sizing_is_no_news() -> None:
    assert told(sized(), now=CREATED + 3600) == []


def test_a_killed_pull_is_told_once_for_each_kill() -> None:
    first = pod(restartCount=0, state=ended("OOMKilled", 137, "a"))
    again = pod(restartCount=1, state=ended("OOMKilled", 137, "b"), lastState=ended("OOMKilled", 137, "a"))
    (one,) = told(first)
    two, three = told(again)
    assert (
        one.text
        == "Pod bert-1: storage-initializer was killed at its memory limit of 1Gi. It starts again with the same limit."
    )
    assert two.name() == one.name()
    assert three.name() != one.name()


def test_a_wrong_annotation_is_told_with_key_value_and_remedy() -> None:
    (note,) = telling.of_service(service(**{"pullsizer.dev/memory-limit": "12GB"}))
    assert note.reason == "InvalidAnnotation"
    assert "pullsizer.dev/memory-limit" in note.text
    assert "12GB" in note.text
    assert list(telling.of_service(service(**{"pullsizer.dev/memory-limit": "12Gi"}))) == []
