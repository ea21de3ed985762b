from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources import modelscope as asked_modelscope
from pullsizer.sources.access import STRANGER, Access
from pullsizer.sources.measure import Measurer
from pullsizer.sources.modelscope import Repo, parse
from tests.stubs.modelscope import TOKEN, ModelScopeStub

from .conftest import Listener, Serve, rules_for

LOCAL = rules_for("http://hub.invalid", "127.0.0.0/8")
OURS = Access("models/uid/1", {"MODELSCOPE_API_TOKEN": TOKEN})


@pytest.fixture
async def stub() -> AsyncIterator[ModelScopeStub]:
    async with ModelScopeStub() as ours:
        yield ours


def model(name: str, endpoint: str, allow: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> Source:
    return Source(f"modelscope://any/{name}", allow, ignore, endpoint)


async def refused(
    measurer: Measurer, source: Source, rules: SourceRules = LOCAL, access: Access = STRANGER
) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(source, access=access, rules=rules)
    assert "secret" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("count", [1, 3, 2999, 3000, 10_000])
async def test_a_model_is_the_sum_of_its_files(measurer: Measurer, stub: ModelScopeStub, count: int) -> None:
    facts = await measurer.measure(model(str(count), stub.url), rules=LOCAL)
    assert (facts.bytes, facts.files, facts.largest) == (sum(range(count)), count, count - 1)
    assert facts.basis == "measured"


async def test_a_listing_below_the_servers_bound_is_one_question(measurer: Measurer, stub: ModelScopeStub) -> None:
    await measurer.measure(model("900", stub.url), rules=LOCAL)
    assert [query for query, _ in stub.asked] == [{"Revision": "master", "Recursive": "True"}]


async def test_a_folder_with_more_than_the_server_tells_makes_an_estimate(
    measurer: Measurer, stub: ModelScopeStub
) -> None:
    facts = await measurer.measure(model("flat-4000", stub.url), rules=LOCAL)
    assert (facts.files, facts.basis) == (3000, "estimated")


@pytest.mark.parametrize(
    ("allow", "ignore", "files"),
    [
        (("*.json",), (), {"config.json", "b/deep.json"}),
        ((), ("*.json", "b/*"), {"a.bin"}),
        (("*.json,*.bin",), (), {"config.json", "b/deep.json", "a.bin"}),
        ((r".*json",), (), {"config.json", "b/deep.json"}),
        (("nothing",), (), set()),
    ],
)
async def test_filters_apply_as_in_the_downloaders_library(
    measurer: Measurer, stub: ModelScopeStub, allow: tuple[str, ...], ignore: tuple[str, ...], files: set[str]
) -> None:
    stub.files["m"] = {"config.json": 1, "b/deep.json": 2, "a.bin": 4}
    facts = await measurer.measure(model("m", stub.url, allow, ignore), rules=LOCAL)
    assert (facts.files, facts.bytes) == (len(files), sum(stub.files["m"][name] for name in files))


async def test_many_filters_on_many_files_leave_the_loop_alone(measurer: Measurer, stub: ModelScopeStub) -> None:
    patterns = tuple(f"{number}/*" for number in range(10))
    facts = await measurer.measure(model("2900", stub.url, patterns), rules=LOCAL)
    assert facts.files == 1000


async def test_a_revision_is_asked_for(measurer: Measurer, stub: ModelScopeStub) -> None:
    assert (await measurer.measure(model("3:v1.0", stub.url), rules=LOCAL)).files == 3
    assert stub.asked[-1][0]["Revision"] == "v1.0"
    assert (await refused(measurer, model("3:v2", stub.url))).reason == "NotFound"


async def test_an_archive_is_left_as_it_is(measurer: Measurer, stub: ModelScopeStub) -> None:
    stub.files["m"] = {"model.tar.gz": 5}
    assert (await measurer.measure(model("m", stub.url), rules=LOCAL)).archive == ""


async def test_a_model_changes_with_any_of_its_files(measurer: Measurer, stub: ModelScopeStub) -> None:
    stub.files["m"] = {"a": 1, "b": 2}
    source = model("m", stub.url)
    facts = await measurer.measure(source, rules=LOCAL)
    assert await measurer.unchanged(source, facts, rules=LOCAL)
    stub.files["m"] = {"a": 2, "b": 1}
    assert not await measurer.unchanged(source, facts, rules=LOCAL)


async def test_a_token_opens_what_is_private(measurer: Measurer, stub: ModelScopeStub) -> None:
    source = model("private", stub.url)
    assert (await measurer.measure(source, access=OURS, rules=LOCAL)).bytes == 1_000_520
    assert (await refused(measurer, source)).reason == "NotFound"
    wrong = Access("models/uid/2", {"MODELSCOPE_API_TOKEN": "wrong"})
    assert (await refused(measurer, source, access=wrong)).reason == "NotFound"
    assert "Authorization" not in stub.asked[1][1]


@pytest.mark.parametrize("token", ["two words", "a;b", "a,b", 'a"b', "é", "x" * 5000])
async def test_what_is_no_token_is_not_sent(measurer: Measurer, stub: ModelScopeStub, token: str) -> None:
    access = Access("models/uid/3", {"MODELSCOPE_API_TOKEN": token})
    assert (await refused(measurer, model("3", stub.url), access=access)).reason == "Unauthorized"
    assert stub.asked == []


async def test_a_token_stays_with_its_server(measurer: Measurer, stub: ModelScopeStub, serve: Serve) -> None:
    async def moved(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{stub.url}{request.path_qs}"})

    site = await serve(moved)
    assert (await measurer.measure(model("3", site.url("")), access=OURS, rules=LOCAL)).files == 3
    assert "Authorization" in site.asked[0][2]
    assert not {"Authorization", "Cookie"} & set(stub.asked[0][1])


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (204, "InvalidAnswer"),
        (401, "Unauthorized"),
        (403, "Unauthorized"),
        (404, "NotFound"),
        (418, "InvalidAnswer"),
        (429, "RateLimited"),
        (500, "SourceUnavailable"),
    ],
)
async def test_a_status_has_a_reason(measurer: Measurer, stub: ModelScopeStub, status: int, reason: str) -> None:
    error = await refused(measurer, model(f"status-{status}", stub.url))
    assert error.reason == reason
    assert (error.retry_after == 7) == (status in (429, 500))


FILE = {"Path": "a", "Type": "blob", "Size": 1}


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"<html>", b"[]", b"1", b"{}", {"Data": None}, {"Data": []}, {"Data": {}}, {"Data": {"Files": {}}},
        {"Data": {"Files": [1]}}, {"Data": {"Files": [{**FILE, "Size": -1}]}},
        {"Data": {"Files": [{**FILE, "Size": "1"}]}},
        {"Data": {"Files": [{**FILE, "Size": True}]}}, {"Data": {"Files": [{**FILE, "Size": 1.5}]}},
        {"Data": {"Files": [{**FILE, "Path": 1}]}}, {"Data": {"Files": [{**FILE, "Sha256": 1}]}},
        {"Data": {"Files": [{"Path": "a"}]}}, {"Success": False, "Data": {"Files": []}},
        {"Data": {"Files": [{**FILE, "Size": 1 << 62}] * 3}}, b"[" * 100_000,
    ],
)  # fmt: skip
async def test_what_is_no_listing_says_so(measurer: Measurer, serve: Serve, answer: Any) -> None:
    async def odd(_: web.Request) -> web.Response:
        return web.Response(body=answer) if isinstance(answer, bytes) else web.json_response(answer)

    assert (await refused(measurer, model("m", (await serve(odd)).url("")))).reason == "InvalidAnswer"


async def test_a_model_without_files_is_empty(measurer: Measurer, serve: Serve) -> None:
    async def empty(_: web.Request) -> web.Response:
        return web.json_response({"Data": {"Files": None}})

    facts = await measurer.measure(model("m", (await serve(empty)).url("")), rules=LOCAL)
    assert (facts.bytes, facts.files) == (0, 0)


async def test_a_server_that_lists_a_folder_in_itself_is_asked_once_more(measurer: Measurer, serve: Serve) -> None:
    async def circle(_: web.Request) -> web.Response:
        files = [{"Path": "a", "Type": "tree"}] * 3000
        return web.json_response({"Data": {"Files": files}})

    site = await serve(circle)
    facts = await measurer.measure(model("m", site.url("")), rules=LOCAL)
    assert (facts.files, facts.basis) == (0, "estimated")


async def test_more_questions_than_a_model_is_worth_are_not_asked(
    measurer: Measurer, stub: ModelScopeStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked_modelscope, "_MOST_QUESTIONS", 5)
    error = await refused(measurer, model("10000", stub.url))
    assert (error.reason, "pullsizer.dev/model-size" in str(error)) == ("UnsupportedSource", True)
    assert len(stub.asked) == 5


async def test_an_answer_without_end_is_not_read_to_it(measurer: Measurer, serve: Serve) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))

    assert (await refused(measurer, model("m", (await serve(endless)).url("")))).reason == "InvalidAnswer"


async def test_a_slow_server_takes_no_longer_than_it_may(measurer: Measurer, serve: Serve) -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    rules = rules_for("http://hub.invalid", "127.0.0.0/8", timeout="200ms")
    assert (await refused(measurer, model("m", (await serve(slow)).url("")), rules)).reason == "Timeout"


async def test_a_dead_server_is_unavailable(measurer: Measurer, listener: Listener) -> None:
    error = await refused(measurer, model("m", f"http://127.0.0.1:{listener.port}"))
    assert error.reason == "SourceUnavailable"


async def test_nobody_reaches_the_inside(measurer: Measurer, serve: Serve, listener: Listener) -> None:
    async def hop(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{listener.port}/"})

    site = await serve(hop)
    for endpoint in (f"http://127.0.0.1:{listener.port}", site.url("")):
        assert isinstance(await refused(measurer, model("m", endpoint), rules_for(site.url(""))), EgressDenied)
    assert listener.connections == 0


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("", "modelscope.cn"),
        ("www.modelscope.ai", "www.modelscope.ai"),
        ("https://mirror.example/ms/", "mirror.example"),
    ],
)
def test_the_endpoint_may_be_a_bare_host(measurer: Measurer, endpoint: str, host: str) -> None:
    store = asked_modelscope.ModelScope(measurer._client)
    assert store.host(model("m", endpoint), STRANGER, SourceRules()) == host


@pytest.mark.parametrize("endpoint", ["https://", "http://127.1", "http://[", "http://a b"])
async def test_an_endpoint_that_is_no_url_names_what_to_correct(measurer: Measurer, endpoint: str) -> None:
    error = await refused(measurer, model("m", endpoint))
    assert (error.reason, "MODELSCOPE_DOMAIN" in str(error)) == ("InvalidURI", True)


def test_a_uri_is_read_as_the_downloader_reads_it() -> None:
    assert parse("modelscope://Qwen/Qwen2.5-7B") == Repo("Qwen/Qwen2.5-7B", "master")
    assert parse("modelscope://a/b:") == Repo("a/b", "master")
    assert parse("modelscope://a/b:v1:x") == Repo("a/b", "v1:x")


@pytest.mark.parametrize("path", ["", "a", "a/", "/b", "a/b/c", "a/..", "../b", "a/b:c/d", "a/b?c=d", "me:secret@a/b"])
def test_what_is_no_model_is_not_asked_for(path: str) -> None:
    with pytest.raises(MeasureError) as caught:
        parse(f"modelscope://{path}")
    assert caught.value.reason == "InvalidURI"
    assert "secret" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_model_or_refused(path: str) -> None:
    try:
        repo = parse(f"modelscope://{path}")
    except MeasureError:
        return
    assert repo.id.count("/") == 1
