from __future__ import annotations

import asyncio

import pytest

from pullsizer.controller import events
from pullsizer.controller.events import Note, Recorder, Regarding
from pullsizer.errors import ClusterError
from tests.unit.controller.fake import FakeApi

BERT = Regarding("serving.kserve.io/v1beta1", "InferenceService", "models", "bert", "uid")
NOTE = Note(BERT, "PullOOMKilled", "It was killed.", "run-1")


async def posted(api: FakeApi, *notes: Note) -> None:
    recorder = Recorder(api, "me")
    task = asyncio.create_task(recorder.run())
    for note in notes:
        recorder.tell(note)
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_thing_is_told_once_also_after_a_restart() -> None:
    api = FakeApi()
    await posted(api, NOTE, NOTE)
    await posted(api, NOTE)
    assert len(api.objects) == 1
    assert len(api.calls) == 2


async def test_another_topic_reason_or_service_is_another_thing() -> None:
    other = Regarding("serving.kserve.io/v1beta1", "InferenceService", "models", "bert", "another uid")
    notes = (NOTE, Note(BERT, "PullOOMKilled", "x", "run-2"), Note(BERT, "PullSized", "x", "run-1"))
    api = FakeApi()
    await posted(api, *notes, Note(other, "PullOOMKilled", "x", "run-1"))
    assert len(api.objects) == 4


async def test_an_event_is_about_the_service_and_no_longer_than_may_be() -> None:
    body = Note(BERT, "PullOOMKilled", "ü" * 5000, "t").to_object("me")
    assert len(body["note"].encode()) <= 1024
    assert body["regarding"]["uid"] == "uid"
    assert body["type"] == "Warning"
    assert Note(BERT, "PullSized", "x", "t").to_object("me")["type"] == "Normal"


async def test_what_cannot_be_posted_stops_nothing() -> None:
    api = FakeApi()
    api.fail["POST"] = ClusterError(403, "the namespace is going")
    recorder = Recorder(api, "me")
    task = asyncio.create_task(recorder.run())
    recorder.tell(NOTE)
    await asyncio.sleep(0.01)
    del api.fail["POST"]
    recorder.tell(Note(BERT, "PullSized", "x", "t"))
    await asyncio.sleep(0.01)
    assert len(api.objects) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_too_many_are_dropped_and_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_WAITING", 3)
    recorder = Recorder(FakeApi(), "me")
    for number in range(100):
        recorder.tell(Note(BERT, "PullSized", "x", str(number)))
    assert recorder._notes.qsize() == 3
    assert len(recorder._told) == 3, "what was dropped counts as not told"


async def test_of_what_was_told_only_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_REMEMBERED", 5)
    recorder = Recorder(FakeApi(), "me")
    for number in range(100):
        recorder.tell(Note(BERT, "PullSized", "x", str(number)))
    assert len(recorder._told) == 5


@pytest.mark.parametrize(("status", "posts"), [(0, 2), (429, 2), (500, 2), (403, 1), (404, 1), (409, 1)])
async def test_what_could_not_be_posted_is_told_when_it_happens_again(status: int, posts: int) -> None:
    api = FakeApi()
    api.fail["POST"] = ClusterError(status, "no")
    recorder = Recorder(api, "me")
    task = asyncio.create_task(recorder.run())
    for _ in range(2):
        recorder.tell(NOTE)
        await asyncio.sleep(0.01)
    assert len(api.calls) == posts
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_found_no_place_among_those_that_wait_is_told_when_it_happens_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "_WAITING", 1)
    api = FakeApi()
    recorder = Recorder(api, "me")
    late = Note(BERT, "PullSized", "x", "t")
    recorder.tell(NOTE)
    recorder.tell(late)
    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(0.01)
    recorder.tell(late)
    await asyncio.sleep(0.01)
    assert len(api.objects) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
