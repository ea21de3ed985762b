"""What a Hub's trees tell beyond sizes: which file is in which store, in how many pages, and who may see it."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from aiohttp import web

from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.measure import Measurer
from tests.stubs.hub import TOKEN, HubStub
from tests.stubs.repository import Shape, sha_of

from .conftest import Listener, Serve, hub_access, rules_for

WEIGHTS, REST = 900_000_000, 99_985_664


def paths(hub: HubStub) -> list[str]:
    return [path.removeprefix("/api/models/stub/") for _, path, _ in hub.asked]


@pytest.mark.parametrize(
    ("name", "by"),
    [("model-1", (WEIGHTS, 0)), ("lfs", (0, WEIGHTS)), ("mixed", (REST, WEIGHTS))],
)
async def test_one_request_tells_sizes_and_in_which_store_each_file_is(
    measurer: Measurer, rules: SourceRules, hub: HubStub, name: str, by: tuple[int, int]
) -> None:
    facts = await measurer.measure(Source(f"hf://stub/{name}"), rules=rules)
    assert (facts.bytes, facts.largest) == (1_000_000_000, WEIGHTS)
    assert (facts.largest_by_xet, facts.largest_by_lfs) == by
    assert paths(hub) == [f"{name}/tree/main"]


async def test_what_filters_leave_out_is_in_no_store(measurer: Measurer, rules: SourceRules) -> None:
    facts = await measurer.measure(Source("hf://stub/mixed", allow=("model-00002-*",)), rules=rules)
    assert (facts.largest, facts.largest_by_xet, facts.largest_by_lfs) == (REST, REST, 0)
    facts = await measurer.measure(Source("hf://stub/mixed", ignore=("*.safetensors",)), rules=rules)
    assert (facts.largest, facts.largest_by_xet, facts.largest_by_lfs) == (2048, 0, 0)


async def test_a_gated_model_is_listed_to_strangers_and_what_is_masked_counts_as_there(
    measurer: Measurer, rules: SourceRules
) -> None:
    stranger = await measurer.measure(Source("hf://stub/gated"), rules=rules)
    member = await measurer.measure(Source("hf://stub/gated"), access=hub_access(TOKEN), rules=rules)
    assert stranger == member
    assert stranger.largest_by_xet == WEIGHTS


@pytest.mark.parametrize("token", [None, "another"])
async def test_a_model_that_is_gated_is_said_to_be_so(
    measurer: Measurer, rules: SourceRules, hub: HubStub, token: str | None
) -> None:
    with pytest.raises(MeasureError, match="is gated") as caught:
        await measurer.measure(Source("hf://stub/locked"), access=hub_access(token), rules=rules)
    assert caught.value.reason == "Unauthorized"
    assert len(hub.asked) == 1
    assert (await measurer.measure(Source("hf://stub/locked"), access=hub_access(TOKEN), rules=rules)).files == 9


async def test_a_renamed_model_is_found_and_the_token_goes_along(
    measurer: Measurer, rules: SourceRules, hub: HubStub
) -> None:
    facts = await measurer.measure(Source("hf://stub/renamed"), access=hub_access(TOKEN), rules=rules)
    assert facts.largest_by_xet == WEIGHTS
    assert paths(hub) == ["renamed/tree/main", "model-1/tree/main"]
    assert [sent for *_, sent in hub.asked] == [f"Bearer {TOKEN}"] * 2


@pytest.mark.parametrize(("files", "requests"), [(1, 1), (3, 1), (999, 1), (1000, 2), (10_000, 11)])
async def test_a_page_has_a_thousand_files_and_folders(
    measurer: Measurer, rules: SourceRules, hub: HubStub, files: int, requests: int
) -> None:
    facts = await measurer.measure(Source(f"hf://stub/files-{files}"), rules=rules)
    assert (facts.files, facts.bytes) == (files, files * 2048)
    assert len(hub.asked) == requests


async def test_of_many_pages_only_paths_sizes_and_stores_are_kept(measurer: Measurer, serve: Serve) -> None:
    files = [{"type": "file", "path": str(index), "oid": "1", "size": 1, "other": "x" * 8192} for index in range(256)]
    page = json.dumps(files).encode()

    async def hub(request: web.Request) -> web.Response:
        number = int(request.query.get("cursor", "0"))
        link = f'<{site.url(request.path)}?cursor={number + 1}>; rel="next"'
        return web.Response(body=page, content_type="application/json", headers={"Link": link} if number < 15 else {})

    site = await serve(hub)
    tracemalloc.start()
    try:
        facts = await measurer.measure(Source("hf://a/b"), rules=rules_for(site.url("")))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert facts.files == 16 * 256
    assert peak < 8 * len(page)  # as it arrives, as text, parsed, and as the library has it


async def test_more_files_than_the_hub_advises_are_not_counted(measurer: Measurer, serve: Serve) -> None:
    page = [{"type": "file", "path": str(index), "oid": "1", "size": 1} for index in range(50_000)]

    async def hub(request: web.Request) -> web.Response:
        return web.json_response(page, headers={"Link": f'<{site.url(request.path)}>; rel="next"'})

    site = await serve(hub)
    with pytest.raises(MeasureError, match="more than 100,000 files") as caught:
        await measurer.measure(Source("hf://a/b"), rules=rules_for(site.url("")))
    assert caught.value.reason == "UnsupportedSource"
    assert len(site.asked) == 3


async def test_the_next_page_is_asked_for_without_the_token_where_another_has_it(
    measurer: Measurer, serve: Serve
) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        return web.json_response([{"type": "file", "path": "y", "oid": "1", "size": 7}])

    other = await serve(elsewhere)

    async def hub(_: web.Request) -> web.Response:
        link = f'<{other.url("/next")}>; rel="next"'
        return web.json_response([{"type": "file", "path": "x", "oid": "1", "size": 5}], headers={"Link": link})

    site = await serve(hub)
    rules = rules_for(site.url(""), "127.0.0.0/8")
    assert (await measurer.measure(Source("hf://a/b"), access=hub_access(TOKEN), rules=rules)).bytes == 12
    assert TOKEN in str(site.asked)
    assert TOKEN not in str(other.asked)


async def test_the_next_page_cannot_be_inside(measurer: Measurer, serve: Serve, listener: Listener) -> None:
    async def hub(_: web.Request) -> web.Response:
        link = f'<http://127.0.0.1:{listener.port}/>; rel="next"'
        return web.json_response([{"type": "file", "path": "x", "oid": "1", "size": 5}], headers={"Link": link})

    site = await serve(hub)
    with pytest.raises(MeasureError, match=r"sources\.allowCIDRs"):
        await measurer.measure(Source("hf://a/b"), rules=rules_for(site.url("")))
    assert listener.connections == 0


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_page_that_is_refused_is_not_asked_for_again(measurer: Measurer, serve: Serve, status: int) -> None:
    async def hub(request: web.Request) -> web.Response:
        if "cursor" in request.query:
            return web.Response(status=status, headers={"RateLimit": '"api";r=0;t=55'})
        link = f'<{site.url(request.path)}?cursor=1>; rel="next"'
        return web.json_response([{"type": "file", "path": "x", "oid": "1", "size": 5}], headers={"Link": link})

    site = await serve(hub)
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source("hf://a/b"), rules=rules_for(site.url("")))
    assert caught.value.retry_after == 55
    assert len(site.asked) == 2


async def test_at_a_mirror_without_trees_the_description_tells_sizes_and_the_commit(
    measurer: Measurer, rules: SourceRules, hub: HubStub
) -> None:
    hub.trees = False
    source = Source("hf://stub/model-1")
    facts = await measurer.measure(source, rules=rules)
    assert (facts.bytes, facts.files, facts.largest) == (1_000_000_000, 9, WEIGHTS)
    assert facts.revision == sha_of("stub/model-1@0")
    assert (facts.largest_by_xet, facts.largest_by_lfs) == (None, None)
    assert paths(hub) == ["model-1/tree/main", "model-1"]
    assert await measurer.unchanged(source, facts, rules=rules)
    hub.moved["stub/model-1"] += 1
    assert not await measurer.unchanged(source, facts, rules=rules)


async def test_at_a_mirror_without_trees_what_is_in_no_store_is_known_all_the_same(
    measurer: Measurer, rules: SourceRules, hub: HubStub
) -> None:
    hub.trees = False
    hub.models["a/b"] = Shape(bytes=3000, files=2, largest=2000)
    facts = await measurer.measure(Source("hf://a/b"), rules=rules)
    assert (facts.largest_by_xet, facts.largest_by_lfs) == (0, 0)
    with pytest.raises(MeasureError, match="size of every file"):
        await measurer.measure(Source("hf://stub/unsized"), rules=rules)
