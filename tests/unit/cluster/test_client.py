from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pullsizer.cluster import KubeApi
from pullsizer.cluster.discovery import served_versions
from pullsizer.errors import ClusterError, NotFound
from tests.unit.cluster.api import event, item, refusal, served

THINGS = "/api/v1/things"


async def test_a_list_is_read_page_by_page_and_its_items_say_what_they_are() -> None:
    async def handler(request: web.Request) -> web.Response:
        last = request.query.get("continue") == "more"
        metadata = {"resourceVersion": "9"} if last else {"resourceVersion": "9", "continue": "more"}
        items = [item("b" if last else "a", 1)]
        return web.json_response({"apiVersion": "v1", "kind": "ThingList", "metadata": metadata, "items": items})

    async with served(handler) as api:
        whole = await api.list(THINGS)
        assert [found["metadata"]["name"] for found in whole["items"]] == ["a", "b"]
        assert {(found["apiVersion"], found["kind"]) for found in whole["items"]} == {("v1", "Thing")}
        assert whole["metadata"]["resourceVersion"] == "9"
        assert [found["metadata"]["name"] async for found in api.items(THINGS)] == ["a", "b"]


async def test_a_refusal_becomes_an_error_with_its_status_and_message() -> None:
    async def handler(request: web.Request) -> web.Response:
        return refusal(int(request.query.get("fieldSelector", "404")), "not to you")

    async with served(handler) as api:
        with pytest.raises(NotFound, match="not to you"):
            await api.get(THINGS)
        with pytest.raises(ClusterError, match="not to you") as caught:
            await api.list(THINGS, field_selector="403")
        assert caught.value.status == 403


async def test_no_answer_is_a_cluster_error_too() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with served(handler) as api:
        with pytest.raises(ClusterError) as caught:
            await api.create(THINGS, {})
        assert caught.value.status == 0


async def test_an_answer_that_is_no_json_is_a_cluster_error() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="<html>", status=502 if request.method == "GET" else 200)

    async with served(handler) as api:
        with pytest.raises(ClusterError, match="Bad Gateway"):
            await api.get(THINGS)
        with pytest.raises(ClusterError):
            await api.create(THINGS, {})


async def test_a_busy_api_server_is_asked_again_when_it_says_so() -> None:
    answers = [refusal(429, "busy", **{"Retry-After": "0"}), web.json_response({"a": 1})]

    async def handler(_: web.Request) -> web.Response:
        return answers.pop(0)

    async with served(handler) as api:
        assert await api.get(THINGS) == {"a": 1}


async def test_an_apply_is_server_side_forced_and_carries_our_token() -> None:
    seen: dict[str, Any] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(request.query, path=request.path, method=request.method, body=await request.json())
        seen["type"], seen["auth"] = request.headers["Content-Type"], request.headers["Authorization"]
        return web.json_response({})

    async with served(handler) as api:
        await api.apply(f"{THINGS}/a", {"x": "ü"}, field_manager="me", subresource="status")
    assert seen["method"] == "PATCH"
    assert seen["path"] == "/api/v1/things/a/status"
    assert (seen["fieldManager"], seen["force"], seen["type"]) == ("me", "true", "application/apply-patch+yaml")
    assert (seen["body"], seen["auth"]) == ({"x": "ü"}, "bearer sesame")


async def test_a_delete_names_the_very_object() -> None:
    seen: dict[str, Any] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(await request.json())
        return web.json_response({})

    async with served(handler) as api:
        await api.delete(f"{THINGS}/a", uid="u1")
    assert seen["preconditions"] == {"uid": "u1"}


async def test_a_watch_puts_events_together_however_they_are_cut_and_however_long_they_are() -> None:
    huge = item("a", 2, data="x" * 5_000_000)
    text = event("ADDED", huge) + b"\n" + event("DELETED", item("b", 3))

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for begin in range(0, len(text), 70_001):
            await response.write(text[begin : begin + 70_001])
        return response

    async with served(handler) as api:
        events = [found async for found in api.watch(THINGS, resource_version="1")]
    assert [found["type"] for found in events] == ["ADDED", "DELETED"]
    assert events[0]["object"] == huge


async def test_a_watch_that_falls_silent_ends() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    async with served(handler) as api:
        assert [found async for found in api.watch(THINGS, resource_version="1", inactivity=0.2)] == []


async def test_without_a_way_to_a_cluster_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="there is no kubeconfig"):
        await KubeApi.connect(tmp_path / "missing")
    with pytest.raises(ClusterError, match="Service host/port"):
        await KubeApi.connect()


async def test_of_each_resource_the_preferred_version_that_has_it_is_found() -> None:
    versions = [{"groupVersion": f"g/{version}", "version": version} for version in ("v1beta1", "v1alpha2", "v1alpha1")]
    resources = {"v1beta1": ["old"], "v1alpha2": ["new", "new/status"], "v1alpha1": ["new", "old"]}

    async def handler(request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        if name == "g":
            return web.json_response({"versions": versions})
        return web.json_response({"resources": [{"name": found} for found in resources[name]]})

    async with served(handler) as api:
        assert await served_versions(api, "g", ("old", "new", "none")) == {"old": "v1beta1", "new": "v1alpha2"}


async def test_without_the_group_there_is_nothing() -> None:
    async def handler(_: web.Request) -> web.Response:
        return refusal(404)

    async with served(handler) as api:
        assert await served_versions(api, "g", ("a",)) == {}
