"""CloudEvents on V1: what comes as one is answered as one, named as KServe's server is told to name them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from classifier_runtime.protocols.cloudevents import STRUCTURED, Naming, answer, binary, structured
from classifier_runtime.protocols.http import Request
from tests.runtime.server.conftest import Client

PREDICT = "/v1/models/model:predict"
ATTRIBUTES = {"specversion": "1.0", "id": "7", "source": "here", "type": "question", "subject": "s"}
HEADERS = {f"ce-{key}": value for key, value in ATTRIBUTES.items()}


async def test_a_binary_event_is_answered_as_one(client: Client) -> None:
    async with client.session.post(client.url + PREDICT, json={"instances": ["5"]}, headers=HEADERS) as got:
        assert await got.json() == {"predictions": [0]}
        assert got.headers["ce-type"] == "io.kserve.inference.response"
        assert got.headers["ce-source"] == "io.kserve.inference.model"
        assert got.headers["ce-specversion"] == "1.0"
        assert got.headers["ce-id"] != "7"
        assert "ce-subject" not in got.headers


async def test_a_structured_event_is_answered_as_one(client: Client) -> None:
    body = {**ATTRIBUTES, "data": {"instances": ["5"]}}
    async with client.session.post(client.url + PREDICT, json=body, headers={"Content-Type": STRUCTURED}) as got:
        event = await got.json(content_type=STRUCTURED)
    assert event["data"] == {"predictions": [0]}
    assert event["type"] == "io.kserve.inference.response"


@pytest.mark.parametrize("is_binary", [True, False])
def test_attributes_are_merged_where_that_is_asked_for(is_binary: bool) -> None:
    naming = Naming.read({"CE_MERGE": "true", "CE_TYPE": "answer", "CE_SOURCE": "there"})
    if is_binary:
        event = binary(Request(HEADERS, {}, {}))
        assert event is not None
        found: dict[str, Any] = {key[3:]: value for key, value in answer(event, {}, "model", naming)[2].items()}
    else:
        both = structured(Request({"Content-Type": STRUCTURED}, {}, {}), {**ATTRIBUTES, "data": {}})
        assert both is not None
        found = orjson.loads(answer(both[0], {}, "model", naming)[0])
    assert (found["subject"], found["type"], found["source"]) == ("s", "answer", "there")
    assert found["id"] != "7"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"ce-specversion": "1.0"}, {"instances": ["5"]}),
        ({"Content-Type": STRUCTURED}, {"instances": ["5"]}),
        ({"Content-Type": STRUCTURED}, ATTRIBUTES),
        ({"Content-Type": STRUCTURED}, []),
    ],
)
async def test_what_is_no_whole_event_is_refused(client: Client, headers: dict[str, str], body: Any) -> None:
    status, error = await client.refused(body, PREDICT, headers=headers)
    assert status == 400
    assert "CloudEvent" in error
