from __future__ import annotations

from typing import Any

import pytest

from pullsizer.controller.app import Controller
from pullsizer.controller.metrics import HANDLER_ERRORS
from pullsizer.handlers import PLURALS, registry
from pullsizer.handlers import settings as kopf_settings
from pullsizer.settings import ControllerSettings
from tests.unit.controller.examples import Hub, isvc, llm, pod
from tests.unit.controller.fake import FakeApi


class Told:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gone: list[str] = []

    def service_seen(self, item: Any) -> None:
        self.seen.append(item["metadata"]["name"])

    def service_gone(self, item: Any) -> None:
        self.gone.append(item["metadata"]["name"])


@pytest.fixture
async def controller() -> Controller:
    return Controller(FakeApi(), Hub(), ControllerSettings(), "me")


async def test_services_are_known_while_they_are_there(controller: Controller) -> None:
    controller.service_seen(isvc())
    controller.service_seen(llm())
    assert len(controller._inventory.services) == 2
    controller.service_gone(isvc())
    assert [key.name for key in controller._inventory.services] == ["llama"]


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"kind": "InferenceService"},
        {"kind": "InferenceService", "metadata": {"uid": "u"}},
        isvc() | {"spec": {"predictor": {"containers": [3]}}},
        isvc() | {"spec": 3},
        llm() | {"spec": {"model": "hf://x"}},
    ],
)
async def test_a_service_that_cannot_be_read_is_counted_and_stops_nothing(
    controller: Controller, item: dict[str, Any]
) -> None:
    controller.service_seen(item)
    controller.service_gone(item)
    controller.service_seen(isvc("good"))
    assert [key.name for key in controller._inventory.services if key.name == "good"] == ["good"]


async def test_it_counts_what_it_could_not_read(controller: Controller) -> None:
    before = HANDLER_ERRORS.labels("InferenceService")._value.get()
    controller.service_seen({"kind": "InferenceService", "metadata": {"uid": "u"}})
    assert HANDLER_ERRORS.labels("InferenceService")._value.get() == before + 1


async def test_a_status_that_kserve_writes_is_no_change(controller: Controller) -> None:
    controller.service_seen(isvc())
    waiters = dict(controller._keeper._desired)
    controller.service_seen(isvc() | {"status": {"url": "http://x"}})
    assert controller._keeper._desired == waiters


async def test_pods_seen_before_their_service_count_once_it_is_there(controller: Controller) -> None:
    controller._put_pod(pod(uri="s3://bucket/x"))
    assert controller._keeper._desired == {}
    controller.service_seen(isvc())
    assert len(controller._keeper._desired) == 2
    controller._remove_pod(pod(uri="s3://bucket/x"))
    assert len(controller._keeper._desired) == 1


async def test_of_all_that_it_watches_only_what_is_kserves_may_be_out_of_reach(controller: Controller) -> None:
    optional = {reflector.name for reflector in controller._reflectors if reflector._optional}
    assert optional == {"kserve-config", "storage-containers"}


async def test_kopf_is_told_to_watch_and_to_write_nothing() -> None:
    found = registry(Told(), FakeApi(), dict.fromkeys(PLURALS, "v1"))
    assert {handler.id for handler in found._watching.get_all_handlers()} == set(PLURALS)
    for other in (found._changing, found._indexing, found._spawning, found._webhooks):
        assert list(other.get_all_handlers()) == []
    assert kopf_settings().posting.enabled is False


async def test_events_are_handed_on_as_they_are() -> None:
    told = Told()
    found = registry(told, FakeApi(), {"inferenceservices": "v1beta1"})
    (handler,) = found._watching.get_all_handlers()
    for kind in (None, "ADDED", "MODIFIED", "DELETED"):
        event: Any = {"type": kind, "object": isvc()}
        await handler.fn(event=event)  # type: ignore[call-arg, misc]
    assert told.seen == ["bert"] * 3
    assert told.gone == ["bert"]
