"""Answers are packed where that is worth it, for who takes it."""

from __future__ import annotations

import gzip
import zlib

import orjson
import pytest

from tests.runtime.v2.conftest import V2, tensor


@pytest.mark.parametrize(
    ("accepted", "count", "encoding"),
    [
        ("gzip", 2000, "gzip"),
        ("deflate", 2000, "deflate"),
        ("br, gzip;q=0.5, deflate", 2000, "gzip"),
        ("gzip;q=0, deflate;q=0.0", 2000, None),
        ("identity", 2000, None),
        ("gzip", 2, None),
    ],
)
async def test_an_answer_is_packed_as_its_client_takes_it(
    v2: V2, accepted: str, count: int, encoding: str | None
) -> None:
    body = {"id": "7", "inputs": [tensor(*["5"] * count)], "parameters": {"id2label": True}}
    url = f"{v2.client.url}/v2/models/model/infer"
    headers = {"Accept-Encoding": accepted}
    async with v2.client.session.post(url, json=body, headers=headers, auto_decompress=False) as answer:
        sent = await answer.read()
        assert answer.headers.get("Content-Encoding") == encoding
    plain = gzip.decompress(sent) if encoding == "gzip" else zlib.decompress(sent) if encoding else sent
    assert orjson.loads(plain)["outputs"][1]["data"] == ["NEGATIVE"] * count
