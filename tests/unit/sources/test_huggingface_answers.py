from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import Source
from pullsizer.policy import HuggingFace, SourceRules
from pullsizer.sources.measure import Measurer
from tests.stubs.hub import RETRY_AFTER, TOKEN, HubStub

from .conftest import Listener, Serve, hub_access, rules_for

FILES = [{"type": "file", "path": "x", "oid": "1", "size": 5}]


async def refused(measurer: Measurer, uri: str, rules: SourceRules, token: str | None = None) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), access=hub_access(token), rules=rules)
    return caught.value


async def test_a_token_goes_to_the_hub_and_to_nobody_else(measurer: Measurer, serve: Serve) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        return web.json_response(FILES, headers={"Link": f'<{other.url("/next")}>; rel="prev"'})

    other = await serve(elsewhere)

    async def hub(request: web.Request) -> web.Response:
        if "again" not in request.query:
            return web.Response(status=307, headers={"Location": f"{request.path}?again=1"})
        return web.Response(status=302, headers={"Location": other.url("/there"), "Set-Cookie": "a=b"})

    site = await serve(hub)
    rules = rules_for(site.url(""), "127.0.0.0/8")
    facts = await measurer.measure(Source("hf://a/b"), access=hub_access(TOKEN), rules=rules)
    assert facts.bytes == 5
    assert [headers.get("Authorization") for *_, headers in site.asked] == [f"Bearer {TOKEN}"] * 2
    assert len(other.asked) == 1
    assert TOKEN not in str(other.asked)
    await measurer.measure(Source("hf://a/c"), rules=rules)
    assert "a=b" not in str(site.asked)


async def test_a_hub_cannot_send_the_operator_inside(measurer: Measurer, serve: Serve, listener: Listener) -> None:
    async def hub(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{listener.port}/"})

    site = await serve(hub)
    with pytest.raises(EgressDenied, match=r"sources\.allowCIDRs"):
        await measurer.measure(Source("hf://a/b"), rules=rules_for(site.url("")))
    assert listener.connections == 0


@pytest.mark.parametrize("location", ["/again", "ftp://a.example/", "http://[", "//2130706433/x"])
async def test_redirects_are_few_and_lead_to_web_servers(measurer: Measurer, serve: Serve, location: str) -> None:
    async def hub(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    site = await serve(hub)
    error = await refused(measurer, "hf://a/b", rules_for(site.url("")))
    assert error.reason in ("InvalidAnswer", "InvalidURI")
    assert len(site.asked) == (6 if location == "/again" else 1)


@pytest.mark.parametrize(
    "body",
    [
        "", "null", "[]", "{}", "[" * 100_000, "not json", "5", '{"id": 1}', "[[]]", "[{}]", '[{"type": "file"}]',
        '[{"type": "directory", "path": "x", "oid": "1"}]', '[{"type": "file", "path": "x", "size": 5}]',
        *(f'[{{"type": "file", "path": "x", "oid": "1", "size": {size}}}]'
          for size in ("-1", "1e300", "true", '"5"', "9223372036854775808")),
        '[{"type": "file", "path": "x", "oid": "1", "size": 5, "lfs": 5}]',
    ],
)  # fmt: skip
async def test_odd_answers_are_said_to_be_odd(measurer: Measurer, serve: Serve, body: str) -> None:
    async def hub(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    site = await serve(hub)
    assert (await refused(measurer, "hf://a/b", rules_for(site.url("")))).reason == "InvalidAnswer"


async def test_what_a_hub_calls_a_commit_is_kept_only_if_it_looks_like_one(measurer: Measurer, serve: Serve) -> None:
    told = iter(["<script>", "a" * 40, "a" * 40])

    async def hub(_: web.Request) -> web.Response:
        return web.json_response(FILES, headers={"X-Repo-Commit": next(told)})

    rules = rules_for((await serve(hub)).url(""))
    facts = await measurer.measure(Source("hf://a/b"), rules=rules)
    assert facts.revision == ""
    assert not await measurer.unchanged(Source("hf://a/b"), facts, rules=rules)
    facts = await measurer.measure(Source("hf://a/b"), rules=rules)
    assert facts.revision == "a" * 40
    assert await measurer.unchanged(Source("hf://a/b"), facts, rules=rules)


async def test_an_endpoint_that_is_none_is_said_to_be_none(measurer: Measurer) -> None:
    for endpoint in ("http://127.1", "http://2130706433:80", "http://[::1"):
        rules = SourceRules.model_construct(hugging_face=HuggingFace.model_construct(endpoint=endpoint))
        assert (await refused(measurer, "hf://a/b", rules)).reason == "InvalidURI"


async def test_large_listings_are_measured_side_by_side(measurer: Measurer, serve: Serve) -> None:
    files = [{"type": "file", "path": f"{index:060}", "oid": "1", "size": index} for index in range(20_000)]
    body = json.dumps(files).encode()

    async def hub(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    rules = rules_for((await serve(hub)).url(""))
    found = await asyncio.gather(*(measurer.measure(Source(f"hf://a/b{index}"), rules=rules) for index in range(3)))
    assert {facts.bytes for facts in found} == {sum(range(20_000))}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "999999"}, 3600),
        ({"Retry-After": "9" * 5000}, 3600),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 1),
        ({"Retry-After": "Wed, 21 Oct 2915 07:28:00 GMT"}, 3600),
        ({"Retry-After": "Wed, 21 Oct 2915 07:28:00"}, 60),
        ({"Retry-After": "soon"}, 60),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=9;t=55'}, 60),
        ({}, 60),
    ],
)
async def test_a_hub_says_when_to_ask_again(
    measurer: Measurer, serve: Serve, headers: dict[str, str], seconds: float
) -> None:
    async def hub(_: web.Request) -> web.Response:
        return web.Response(status=429, headers=headers)

    site = await serve(hub)
    assert (await refused(measurer, "hf://a/b", rules_for(site.url("")))).retry_after == seconds


async def test_a_hub_that_asked_for_quiet_is_left_alone(measurer: Measurer, rules: SourceRules, hub: HubStub) -> None:
    await refused(measurer, "hf://stub/status-429", rules)
    error = await refused(measurer, "hf://stub/model-1", rules)
    assert error.reason == "RateLimited"
    assert RETRY_AFTER - 1 < error.retry_after <= RETRY_AFTER
    assert len(hub.asked) == 1
    await measurer.measure(
        Source("hf://stub/private"), access=hub_access(TOKEN), rules=rules
    )  # its own limit, its own answer
