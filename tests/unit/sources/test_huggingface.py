from __future__ import annotations

import asyncio
import json
import logging

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import HuggingFace, SourceRules
from pullsizer.sources.huggingface import parse
from pullsizer.sources.measure import Measurer
from tests.stubs.hub import RETRY_AFTER, TOKEN, HubStub, sha_of, shapes

from .conftest import Listener, Serve, rules_for

SHAPES = shapes()


async def refused(measurer: Measurer, uri: str, rules: SourceRules, token: str | None = None) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), token=token, rules=rules)
    return caught.value


@pytest.mark.parametrize("repo", SHAPES)
async def test_a_model_is_as_big_as_all_its_files(measurer: Measurer, rules: SourceRules, repo: str) -> None:
    shape = SHAPES[repo]
    assert await measurer.measure(Source(f"hf://{repo}"), rules=rules) == ModelFacts(
        bytes=shape.bytes, files=shape.files, largest=shape.largest, revision=sha_of(f"{repo}@0")
    )


async def test_filters_leave_out_what_the_downloader_leaves_out(measurer: Measurer, rules: SourceRules) -> None:
    uri = "hf://stub/model-1"
    weights = await measurer.measure(Source(uri, allow=("*.safetensors",)), rules=rules)
    rest = await measurer.measure(Source(uri, ignore=("*.safetensors",)), rules=rules)
    whole = await measurer.measure(Source(uri), rules=rules)
    assert (weights.files, weights.largest) == (2, 900_000_000)
    assert (rest.files, rest.largest) == (7, 2048)
    assert whole.bytes == weights.bytes + rest.bytes
    nothing = await measurer.measure(Source(uri, allow=("no-such-file",)), rules=rules)
    assert (nothing.bytes, nothing.files, nothing.largest) == (0, 0, 0)


async def test_one_repository_with_many_filters_is_one_question(
    measurer: Measurer, rules: SourceRules, hub: HubStub
) -> None:
    sources = [Source("hf://stub/model-1", allow=(f"*{index}*",)) for index in range(20)]
    await asyncio.gather(*(measurer.measure(source, rules=rules) for source in sources))
    await measurer.measure(Source("hf://stub/model-1"), rules=rules)
    assert len(hub.asked) == 1


async def test_the_library_asks_the_documented_question(measurer: Measurer, rules: SourceRules, hub: HubStub) -> None:
    sha = sha_of("stub/model-1@0")
    await measurer.measure(Source(f"hf://stub/model-1:{sha}"), rules=rules)
    await measurer.measure(Source("hf://stub/model-1"), rules=rules)
    assert [path for _, path, _ in hub.asked] == [
        f"/api/models/stub/model-1/revision/{sha}",
        "/api/models/stub/model-1",
    ]


@pytest.mark.parametrize(
    ("uri", "reason", "words"),
    [
        ("hf://nobody/nothing", "Unauthorized", "private or gated, or does not exist"),
        ("hf://stub/private", "Unauthorized", "private or gated, or does not exist"),
        ("hf://stub/status-403", "Unauthorized", "private or gated, or does not exist"),
        ("hf://stub/status-404", "NotFound", "no model 'stub/status-404'"),
        ("hf://stub/model-1:no-such-branch", "NotFound", "no revision 'no-such-branch'"),
        ("hf://stub/status-429", "RateLimited", "fewer questions"),
        ("hf://stub/status-500", "SourceUnavailable", "HTTP 500"),
        ("hf://stub/status-503", "SourceUnavailable", "HTTP 503"),
        ("hf://stub/status-418", "InvalidAnswer", "HTTP 418"),
        ("hf://stub/status-302", "InvalidAnswer", "not the description"),
        ("hf://stub/unsized", "InvalidAnswer", "size of every file"),
        ("hf://stub/gigabyte", "InvalidAnswer", "more than 16 MiB"),
    ],
)
async def test_what_goes_wrong_has_a_reason_and_a_sentence(
    measurer: Measurer, rules: SourceRules, uri: str, reason: str, words: str
) -> None:
    error = await refused(measurer, uri, rules)
    assert error.reason == reason
    assert words in str(error)
    assert "secret words" not in str(error)
    assert error.__cause__ is None
    assert 1 <= error.retry_after <= 3600


@pytest.mark.parametrize("uri", ["hf://stub/never", "hf://stub/drip"])
async def test_a_hub_that_does_not_finish_is_left_in_time(measurer: Measurer, hub: HubStub, uri: str) -> None:
    error = await refused(measurer, uri, rules_for(hub.url, timeout="100ms"))
    assert error.reason == "Timeout"
    assert uri in str(error)


async def test_with_a_token_a_private_model_is_measured(measurer: Measurer, rules: SourceRules, hub: HubStub) -> None:
    facts = await measurer.measure(Source("hf://stub/private"), token=TOKEN, rules=rules)
    assert facts.files == 9
    assert hub.asked[0][2] == f"Bearer {TOKEN}"


async def test_what_one_token_opened_stays_shut_for_others(measurer: Measurer, rules: SourceRules) -> None:
    await measurer.measure(Source("hf://stub/private"), token=TOKEN, rules=rules)
    assert (await refused(measurer, "hf://stub/private", rules)).reason == "Unauthorized"
    assert (await refused(measurer, "hf://stub/private", rules, token="another")).reason == "NotFound"


async def test_tokens_of_the_machine_are_not_sent(
    measurer: Measurer, rules: SourceRules, hub: HubStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_machine")
    await measurer.measure(Source("hf://stub/model-1"), rules=rules)
    await measurer.measure(Source("hf://stub/model-2"), token="", rules=rules)
    assert [sent for *_, sent in hub.asked] == [None, None]


@pytest.mark.parametrize("token", ["two\nlines", "bell\x07", "é", "\udcff"])
async def test_a_token_that_is_none_is_said_to_be_none(
    measurer: Measurer, rules: SourceRules, hub: HubStub, token: str
) -> None:
    error = await refused(measurer, "hf://stub/model-1", rules, token=token)
    assert (error.reason, hub.asked) == ("Unauthorized", [])
    assert token not in str(error)


async def test_a_token_goes_to_the_hub_and_to_nobody_else(measurer: Measurer, serve: Serve) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        return web.json_response({"id": "a/b", "sha": "a" * 40, "siblings": [{"rfilename": "x", "size": 5}]})

    other = await serve(elsewhere)

    async def hub(request: web.Request) -> web.Response:
        if "again" not in request.query:
            return web.Response(status=307, headers={"Location": f"{request.path}?again=1"})
        return web.Response(status=302, headers={"Location": other.url("/there"), "Set-Cookie": "a=b"})

    site = await serve(hub)
    rules = rules_for(site.url(""), "127.0.0.0/8")
    facts = await measurer.measure(Source("hf://a/b"), token=TOKEN, rules=rules)
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
        "", "null", "[]", "{}", "[" * 100_000, "not json", '{"id": 1}', '{"id": "a/b", "siblings": 5}',
        '{"id": "a/b", "siblings": [{}]}', '{"id": "a/b", "siblings": [{"rfilename": "x", "size": -1}]}',
        '{"id": "a/b", "siblings": [{"rfilename": "x", "size": 1e300}]}',
        '{"id": "a/b", "siblings": [{"rfilename": "x", "size": true}]}',
        '{"id": "a/b", "siblings": [{"rfilename": "x", "size": "5"}]}',
        '{"id": "a/b", "siblings": [{"rfilename": "x", "size": 9223372036854775808}]}',
        '{"id": "a/b", "createdAt": "yesterday", "siblings": []}',
    ],
)  # fmt: skip
async def test_odd_answers_are_said_to_be_odd(measurer: Measurer, serve: Serve, body: str) -> None:
    async def hub(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    site = await serve(hub)
    assert (await refused(measurer, "hf://a/b", rules_for(site.url("")))).reason == "InvalidAnswer"


async def test_what_a_hub_calls_a_commit_is_kept_only_if_it_looks_like_one(measurer: Measurer, serve: Serve) -> None:
    async def hub(_: web.Request) -> web.Response:
        return web.json_response({"id": "a/b", "sha": "<script>", "siblings": []})

    site = await serve(hub)
    facts = await measurer.measure(Source("hf://a/b"), rules=rules_for(site.url("")))
    assert facts.revision == ""
    assert not await measurer.unchanged(Source("hf://a/b"), facts, rules=rules_for(site.url("")))


async def test_an_endpoint_that_is_none_is_said_to_be_none(measurer: Measurer) -> None:
    for endpoint in ("http://127.1", "http://2130706433:80", "http://[v1.x]"):
        rules = SourceRules.model_construct(hugging_face=HuggingFace.model_construct(endpoint=endpoint))
        assert (await refused(measurer, "hf://a/b", rules)).reason == "InvalidURI"


async def test_large_listings_are_measured_side_by_side(measurer: Measurer, serve: Serve) -> None:
    files = [{"rfilename": f"{index:060}", "size": index} for index in range(20_000)]
    body = json.dumps({"id": "a/b", "sha": "a" * 40, "siblings": files}).encode()

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
    await measurer.measure(Source("hf://stub/private"), token=TOKEN, rules=rules)  # its own limit, its own answer


async def test_a_commit_never_changes(measurer: Measurer, rules: SourceRules, hub: HubStub) -> None:
    source = Source(f"hf://stub/model-1:{sha_of('stub/model-1@0')}")
    facts = await measurer.measure(source, rules=rules)
    hub.asked.clear()
    assert await measurer.unchanged(source, facts, rules=rules)
    assert hub.asked == []


async def test_a_branch_changes_when_it_is_moved(measurer: Measurer, rules: SourceRules, hub: HubStub) -> None:
    source = Source("hf://stub/model-1")
    facts = await measurer.measure(source, rules=rules)
    assert await measurer.unchanged(source, facts, rules=rules)
    hub.moved["stub/model-1"] += 1
    assert not await measurer.unchanged(source, facts, rules=rules)


async def test_the_library_has_no_other_way_out(measurer: Measurer, rules: SourceRules, hub: HubStub) -> None:
    import httpx2
    from huggingface_hub import HfApi

    with pytest.raises(httpx2.UnsupportedProtocol):
        await asyncio.to_thread(HfApi(endpoint=hub.url).model_info, "stub/model-1")
    assert hub.asked == []


async def test_the_library_logs_and_prints_nothing(
    measurer: Measurer, serve: Serve, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def hub(_: web.Request) -> web.Response:
        return web.json_response({"error": "words"}, status=500, headers={"X-HF-Warning": "topic; buy this"})

    site = await serve(hub)
    with caplog.at_level(logging.INFO):
        await refused(measurer, "hf://a/b", rules_for(site.url("")), token=TOKEN)
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")


@pytest.mark.parametrize(
    "uri",
    [
        "hf://", "hf://a", "hf://a/", "hf:///b", "hf://a/b/c", "hf://a/b:x/y", "hf://a/b:\n", "hf://../b",
        "hf://a/..", "hf://a/b--c", "hf://a/b.git", "hf://a@b/c", "hf://a/b?x", "hf://a/b#x", "hf://a/b c", "hf://ä/b",
        "hf://a:1/b", "hf://a/" + "b" * 97,
    ],
)  # fmt: skip
async def test_what_is_no_model_is_not_asked_for(
    measurer: Measurer, rules: SourceRules, hub: HubStub, uri: str
) -> None:
    error = await refused(measurer, uri, rules)
    assert error.reason == "InvalidURI"
    assert "write hf://owner/model" in str(error)
    assert hub.asked == []


@given(st.text(alphabet="ab/:.-_ @%?#\n\0é", max_size=20))
def test_a_uri_is_a_model_or_is_refused(text: str) -> None:
    try:
        repo = parse(f"hf://{text}")
    except MeasureError as error:
        assert error.reason == "InvalidURI"  # noqa: PT017
    else:
        assert text in (repo.id, f"{repo.id}:{repo.revision}")
        assert repo.id.count("/") == 1
