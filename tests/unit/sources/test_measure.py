from __future__ import annotations

import asyncio
import threading

import pytest
from aiohttp import web

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.manners import CALLS
from pullsizer.sources.measure import Measurer
from tests.stubs.hub import HubStub

from .conftest import Serve, rules_for


@pytest.mark.parametrize(
    ("uri", "reason", "words"),
    [
        ("foo://bar", "UnknownScheme", "known: file"),
        ("htps://a/b", "UnknownScheme", "did you mean 'https'?"),
        ("azure://account/model", "UnknownScheme", "known: file"),
        ("git://a/b", "UnknownScheme", "known: file"),
        ("pvc://claim/model", "NothingToPull", "nothing to size"),
        ("oci+native://a/b", "NothingToPull", "nothing to size"),
        ("file:///model", "NothingToPull", "nothing to size"),
        ("/mnt/models", "InvalidURI", "write it as hf://owner/model"),
        ("", "InvalidURI", "write it as hf://owner/model"),
        ("x" * 10_000 + "://", "UnknownScheme", "…"),
    ],
)
async def test_what_is_not_measured_says_why(measurer: Measurer, uri: str, reason: str, words: str) -> None:
    for asked in (
        measurer.measure(Source(uri), rules=SourceRules()),
        measurer.unchanged(Source(uri), ModelFacts(1, 1, 1), rules=SourceRules()),
    ):
        with pytest.raises(MeasureError) as caught:
            await asked
        assert caught.value.reason == reason
        assert words in str(caught.value)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "source",
    [
        Source("hf://stub/model-1", allow=("x",) * 1000, ignore=("x",) * 25),
        Source("hf://stub/model-1", allow=("x" * 1000,) * 40, ignore=("x" * 1000,) * 40),
        Source("hf://stub/model-1", allow=("x" * 1025,)),
        Source("hf://stub/model-1", ignore=("*a" * 65,)),
        Source("hf://stub/model-1", allow=("[!a]?*",) * 342),
    ],
)
async def test_a_source_with_too_many_patterns_is_refused_before_anybody_is_asked(
    measurer: Measurer, rules: SourceRules, hub: HubStub, source: Source
) -> None:
    for asked in (measurer.measure(source, rules=rules), measurer.unchanged(source, ModelFacts(1, 1, 1), rules=rules)):
        with pytest.raises(MeasureError, match=r"pullsizer\.dev/model-size") as caught:
            await asked
        assert caught.value.reason == "UnsupportedSource"
    assert hub.asked == []
    fits = Source("hf://stub/model-1", allow=("*",), ignore=("x*" + "x" * 60,) * 1023)
    assert (await measurer.measure(fits, rules=rules)).files


async def test_new_rules_are_in_force_at_once(measurer: Measurer, serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"x")

    source = Source((await serve(answer)).url("/m"))
    with pytest.raises(EgressDenied):
        await measurer.measure(source, rules=SourceRules())
    assert await measurer.measure(source, rules=rules_for("http://hub.invalid", "127.0.0.0/8"))
    with pytest.raises(EgressDenied):
        await measurer.measure(source, rules=SourceRules())


@pytest.mark.parametrize("path", ["/m", "hf"])
async def test_a_cancelled_measurement_leaves_its_server_at_once(measurer: Measurer, serve: Serve, path: str) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    site = await serve(never)
    source = Source("hf://a/b" if path == "hf" else site.url(path))
    task = asyncio.ensure_future(measurer.measure(source, rules=rules_for(site.url(""), "127.0.0.0/8")))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(2):
        await left.wait()


async def test_who_waits_for_the_same_listing_is_not_cancelled_with_another(measurer: Measurer, serve: Serve) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        asked.set()
        await go.wait()
        return web.json_response([{"type": "file", "path": "x", "size": 5, "oid": "1"}])

    rules = rules_for((await serve(slow)).url(""))
    first, second = (asyncio.ensure_future(measurer.measure(Source("hf://a/b"), rules=rules)) for _ in range(2))
    await asked.wait()
    first.cancel()
    await asyncio.wait([first])
    go.set()
    assert (await second).bytes == 5


async def test_a_failure_is_not_kept(measurer: Measurer, rules: SourceRules, hub: HubStub) -> None:
    for _ in range(2):
        with pytest.raises(MeasureError):
            await measurer.measure(Source("hf://stub/status-500"), rules=rules)
    assert len(hub.asked) == 2


async def test_time_counts_from_a_models_turn(measurer: Measurer, serve: Serve) -> None:
    """Servers that never answer take every slot for as long as they may; who waits for one is measured all the same."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/slow":
            await asyncio.Event().wait()
        return web.Response(body=b"x")

    site = await serve(answer)
    rules = rules_for(site.url(""), timeout="200ms")
    slow = [asyncio.ensure_future(measurer.measure(Source(site.url("/slow")), rules=rules)) for _ in range(CALLS)]
    await asyncio.sleep(0)
    assert (await measurer.measure(Source(site.url("/m")), rules=rules)).bytes == 1
    failures = await asyncio.gather(*slow, return_exceptions=True)
    assert {error.reason for error in failures if isinstance(error, MeasureError)} == {"Timeout"}


async def test_leaving_ends_all_that_is_on_its_way(serve: Serve) -> None:
    asked = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    site = await serve(never)
    before = set(threading.enumerate())
    async with Measurer(environ={}) as measurer:
        task = asyncio.ensure_future(measurer.measure(Source("hf://a/b"), rules=rules_for(site.url(""))))
        await asked.wait()
    with pytest.raises((asyncio.CancelledError, MeasureError)):
        await task
    ours = [thread for thread in threading.enumerate() if thread not in before]
    for thread in ours:
        await asyncio.to_thread(thread.join, 2)
    assert [thread.name for thread in ours if thread.is_alive()] == []
