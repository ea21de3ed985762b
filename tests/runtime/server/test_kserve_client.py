"""KServe's own REST client, unmodified, on V1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from kserve import InferenceRESTClient
from kserve.inference_client import RESTConfig

from tests.runtime.server.conftest import Client


@pytest.fixture
async def official() -> AsyncIterator[Any]:
    async with InferenceRESTClient(RESTConfig(protocol="v1", retries=1)) as made:
        yield made


async def test_it_predicts(official: Any, client: Client) -> None:
    assert await official.infer(client.url, {"instances": ["1 2 -1"]}, model_name="model") == {"predictions": [1]}


async def test_it_sees_that_the_server_is_alive_and_the_model_ready(official: Any, client: Client) -> None:
    assert await official.is_server_live(client.url)
    assert await official.is_model_ready(client.url, "model")


async def test_it_reads_our_errors(official: Any, client: Client) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="did you mean 'instances'"):
        await official.infer(client.url, {"instance": []}, model_name="model")
