"""The CloudEvents SDK, which Knative's and KServe's own senders use, writes what we read and reads what we write."""

from __future__ import annotations

from typing import Any

import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http

from tests.runtime.server.conftest import Client

PREDICT = "/v1/models/model:predict"
ATTRIBUTES = {"type": "question", "source": "here", "subject": "s", "traceparent": "00-a-b-01"}


async def _asked(client: Client, headers: Any, body: bytes) -> tuple[int, Any, bytes]:
    async with client.session.post(client.url + PREDICT, data=body, headers=dict(headers)) as answer:
        return answer.status, answer.headers, await answer.read()


@pytest.mark.parametrize("write", [to_binary, to_structured])
@pytest.mark.parametrize("instances", [["1 2 -1", "5"], []])
async def test_an_event_is_answered_by_an_event(client: Client, write: Any, instances: list[str]) -> None:
    asked = CloudEvent(ATTRIBUTES, {"instances": instances})
    status, headers, body = await _asked(client, *write(asked))
    assert status == 200
    answer = from_http(headers, body)
    assert answer.data == {"predictions": [1, 0][: len(instances)]}
    assert answer["type"] == "io.kserve.inference.response"
    assert answer["source"] == "io.kserve.inference.model"
    assert answer["id"] != asked["id"]


@pytest.mark.parametrize("write", [to_binary, to_structured])
@pytest.mark.parametrize("data", [{"instances": 7}, {}, [], "text", None])
async def test_an_event_with_wrong_data_is_refused(client: Client, write: Any, data: Any) -> None:
    status, _, body = await _asked(
        client, *write(CloudEvent({**ATTRIBUTES, "datacontenttype": "application/json"}, data))
    )
    assert status == 400, body
    assert b'{"error":"' in body
