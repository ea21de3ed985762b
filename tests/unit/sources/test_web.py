from __future__ import annotations

import pytest
from aiohttp import web

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.archives import archive_kind
from pullsizer.sources.measure import Measurer
from pullsizer.sources.web import parse
from tests.stubs.hub import FILES, HubStub

from .conftest import Handler, Serve, rules_for


async def refused(measurer: Measurer, uri: str, rules: SourceRules) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), rules=rules)
    return caught.value


@pytest.mark.parametrize("name", FILES)
async def test_a_file_is_as_long_as_its_server_says(measurer: Measurer, hub: HubStub, name: str) -> None:
    facts = await measurer.measure(Source(f"{hub.url}/files/{name}"), rules=rules_for(hub.url))
    assert (facts.bytes, facts.files, facts.largest) == (FILES[name], 1, FILES[name])
    assert facts.etag
    assert [method for method, *_ in hub.asked][:2] == ["HEAD", "GET"]


async def test_filters_do_not_apply_to_single_files(measurer: Measurer, hub: HubStub) -> None:
    source = Source(f"{hub.url}/files/iris/model.zip", allow=("*.bin",))
    assert (await measurer.measure(source, rules=rules_for(hub.url))).files == 1


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/m.tar", "tar"),
        ("/m.tar.gz", "tar.gz"),
        ("/m.tgz", "tar.gz"),
        ("/m.zip", "zip"),
        ("/M.ZIP", "zip"),
        ("/m.tar.bz2", "tar"),
        ("/m.joblib", ""),
        ("/m.bin.gz", ""),
        ("/m.zip/m", ""),
        ("/m?name=m.zip", "zip"),
        ("/m.bin?name=m.tar", ""),
        ("/m.tar?x=y", "tar"),
        ("/m%2Etgz#x.zip", "tar.gz"),
    ],
)
def test_archives_are_told_by_their_ending_as_the_downloader_does(path: str, kind: str) -> None:
    url = parse(f"https://a.example{path}")
    assert archive_kind(url.path, url.query_string) == kind


def without_head(status: int) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response(status=status)
        assert request.headers["Range"] == "bytes=0-0"
        return web.Response(status=206, body=b"x", headers={"Content-Range": "bytes 0-0/12345", "ETag": '"e"'})

    return answer


@pytest.mark.parametrize("status", [200, 403, 405, 501])
async def test_where_head_does_not_help_the_first_byte_is_asked_for(
    measurer: Measurer, serve: Serve, local: SourceRules, status: int
) -> None:
    site = await serve(without_head(status))
    assert await measurer.measure(Source(site.url("/m")), rules=local) == ModelFacts(12345, 1, 12345, etag='"e"')
    assert [method for method, *_ in site.asked] == ["HEAD", "GET"]
    assert {headers["Accept-Encoding"] for *_, headers in site.asked} == {"identity"}


async def test_a_server_that_sends_all_is_not_listened_to(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    sent = 0

    async def everything(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        if request.method == "HEAD":
            return web.Response(status=405)
        response = web.StreamResponse(headers={"Content-Length": str(1 << 40)})
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))
            sent += 1 << 16

    site = await serve(everything)
    assert (await measurer.measure(Source(site.url("/m")), rules=local)).bytes == 1 << 40
    assert sent < 64 << 20


async def test_an_empty_file_is_empty(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    async def empty(request: web.Request) -> web.Response:
        return web.Response(status=416 if "Range" in request.headers else 200, headers={"Content-Range": "bytes */0"})

    site = await serve(empty)
    assert (await measurer.measure(Source(site.url("/m")), rules=local)).bytes == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Transfer-Encoding": "chunked"},
        {"Content-Range": "bytes 0-0/*"},
        {"Content-Range": "bytes 0-0/99999999999999999999"},
        {"Content-Range": "bytes 0-0/9223372036854775808"},
        {"Content-Range": "5"},
    ],
)
async def test_no_length_is_said_to_be_none(
    measurer: Measurer, serve: Serve, local: SourceRules, headers: dict[str, str]
) -> None:
    async def vague(request: web.Request) -> web.StreamResponse:
        if "Content-Range" in headers:
            return web.Response(status=206 if "Range" in request.headers else 405, headers=headers)
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        return response

    site = await serve(vague)
    assert (await refused(measurer, site.url("/m"), local)).reason == "NoLength"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "Unauthorized"),
        (403, "Unauthorized"),
        (404, "NotFound"),
        (410, "NotFound"),
        (418, "InvalidAnswer"),
        (429, "RateLimited"),
        (500, "SourceUnavailable"),
        (503, "SourceUnavailable"),
    ],
)
async def test_a_status_has_a_reason(
    measurer: Measurer, serve: Serve, local: SourceRules, status: int, reason: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        headers = {"ETag": "secret", "Retry-After": "7"}
        return web.Response(status=status, reason="Secret Words", text="secret words", headers=headers)

    site = await serve(answer)
    error = await refused(measurer, site.url("/m"), local)
    assert error.reason == reason
    assert (error.retry_after == 7) == (status in (429, 500, 503))
    assert "secret" not in str(error).lower()


async def test_redirects_are_followed(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    async def hops(request: web.Request) -> web.Response:
        left = int(request.path.removeprefix("/"))
        if left:
            return web.Response(status=302, headers={"Location": f"{left - 1}", "Set-Cookie": "a=b"})
        return web.Response(body=b"four")

    site = await serve(hops)
    facts = await measurer.measure(Source(site.url("/5")), rules=local)
    assert facts.bytes == 4
    assert "a=b" not in str(site.asked)
    error = await refused(measurer, site.url("/6"), local)
    assert (error.reason, "more than 5 times" in str(error)) == ("InvalidAnswer", True)


async def test_the_archive_is_what_the_first_url_says(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    async def hop(request: web.Request) -> web.Response:
        if request.path != "/blob.zip":
            return web.Response(status=302, headers={"Location": "/blob.zip"})
        return web.Response(body=b"x")

    site = await serve(hop)
    assert (await measurer.measure(Source(site.url("/m.tar")), rules=local)).archive == "tar"


async def test_a_file_changes_with_its_etag(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    etag = '"one"'

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"ETag": etag})

    source = Source((await serve(answer)).url("/m"))
    facts = await measurer.measure(source, rules=local)
    assert facts.etag == etag
    assert await measurer.unchanged(source, facts, rules=local)
    etag = '"two"'
    assert not await measurer.unchanged(source, facts, rules=local)


@pytest.mark.parametrize("etag", ["unquoted", '"with space"', '"' + "x" * 1000 + '"', '"é"'])
async def test_an_etag_that_is_none_is_not_kept(
    measurer: Measurer, serve: Serve, local: SourceRules, etag: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"ETag": etag})

    site = await serve(answer)
    assert (await measurer.measure(Source(site.url("/m")), rules=local)).etag == ""
