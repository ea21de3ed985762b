from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.huggingface import parse
from pullsizer.sources.measure import Measurer
from tests.stubs.hub import TOKEN, HubStub
from tests.stubs.repository import Shape, sha_of, shapes

from .conftest import Serve, hub_access, rules_for

SHAPES = shapes()


async def refused(measurer: Measurer, uri: str, rules: SourceRules, token: str | None = None) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), access=hub_access(token), rules=rules)
    return caught.value


@pytest.mark.parametrize(
    "uri",
    [
        "hf://owner/model?token=hf_SECRET",
        "hf://me:hf_SECRET@huggingface.co/o/m",
        "hf://stub/model-1:nowhere?token=hf_SECRET",
    ],
)
async def test_a_secret_in_a_uri_is_in_no_message(measurer: Measurer, rules: SourceRules, uri: str) -> None:
    assert "SECRET" not in str(await refused(measurer, uri, rules))


@pytest.mark.parametrize("repo", SHAPES)
async def test_a_model_is_as_big_as_all_its_files(measurer: Measurer, rules: SourceRules, repo: str) -> None:
    shape = SHAPES[repo]
    assert await measurer.measure(Source(f"hf://{repo}"), rules=rules) == ModelFacts(
        bytes=shape.bytes,
        files=shape.files,
        largest=shape.largest,
        largest_by_xet=shape.largest,
        largest_by_lfs=0,
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
        f"/api/models/stub/model-1/tree/{sha}",
        "/api/models/stub/model-1/tree/main",
    ]


@pytest.mark.parametrize(
    ("uri", "reason", "words"),
    [
        ("hf://nobody/nothing", "Unauthorized", "private or gated, or does not exist"),
        ("hf://stub/private", "Unauthorized", "private or gated, or does not exist"),
        ("hf://stub/status-403", "Unauthorized", "private or gated, or does not exist"),
        ("hf://stub/status-404", "NotFound", "no model 'stub/status-404'"),
        ("hf://stub/locked", "Unauthorized", "is gated"),
        ("hf://stub/circle", "InvalidAnswer", "more pages"),
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
    facts = await measurer.measure(Source("hf://stub/private"), access=hub_access(TOKEN), rules=rules)
    assert facts.files == 9
    assert hub.asked[0][2] == f"Bearer {TOKEN}"


async def test_what_one_token_opened_stays_shut_for_others(measurer: Measurer, rules: SourceRules) -> None:
    await measurer.measure(Source("hf://stub/private"), access=hub_access(TOKEN), rules=rules)
    assert (await refused(measurer, "hf://stub/private", rules)).reason == "Unauthorized"
    assert (await refused(measurer, "hf://stub/private", rules, token="another")).reason == "NotFound"


async def test_tokens_of_the_machine_are_not_sent(
    measurer: Measurer, rules: SourceRules, hub: HubStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_machine")
    await measurer.measure(Source("hf://stub/model-1"), rules=rules)
    await measurer.measure(Source("hf://stub/model-2"), access=hub_access(""), rules=rules)
    assert [sent for *_, sent in hub.asked] == [None, None]


@pytest.mark.parametrize("token", ["two\nlines", "bell\x07", "é", "\udcff"])
async def test_a_token_that_is_none_is_said_to_be_none(
    measurer: Measurer, rules: SourceRules, hub: HubStub, token: str
) -> None:
    error = await refused(measurer, "hf://stub/model-1", rules, token=token)
    assert (error.reason, hub.asked) == ("Unauthorized", [])
    assert token not in str(error)


async def test_a_commit_never_changes(measurer: Measurer, rules: SourceRules, hub: HubStub) -> None:
    source = Source(f"hf://stub/model-1:{sha_of('stub/model-1@0')}")
    facts = await measurer.measure(source, rules=rules)
    hub.asked.clear()
    assert await measurer.unchanged(source, facts, rules=rules)
    assert hub.asked == []


async def test_a_branch_changes_when_its_files_do(measurer: Measurer, rules: SourceRules, hub: HubStub) -> None:
    source = Source("hf://stub/model-1")
    facts = await measurer.measure(source, rules=rules)
    assert await measurer.unchanged(source, facts, rules=rules)
    hub.models["stub/model-1"] = Shape(bytes=5_000, files=3, largest=3_000)
    hub.asked.clear()
    assert not await measurer.unchanged(source, facts, rules=rules)
    assert (await measurer.measure(source, rules=rules)).bytes == 5_000
    assert len(hub.asked) == 1  # what was just listed is measured


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
