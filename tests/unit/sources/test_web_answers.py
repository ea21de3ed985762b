"""Servers that do not say what is so, or not the same twice; slow ones and dead ones."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources import archives
from pullsizer.sources.measure import Measurer

from .conftest import Handler, Listener, Serve, rules_for


def a_zip(*members: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, length in enumerate(members):
            archive.writestr(str(number), bytes(length))
    return made.getvalue()


def ranged(content: bytes, asked: str, etag: str = '"e"') -> web.Response:
    """A piece of the content, as an honest server answers."""
    first, last = (int(part) for part in asked.removeprefix("bytes=").split("-"))
    piece = content[first : last + 1]
    told = f"bytes {first}-{first + len(piece) - 1}/{len(content)}"
    return web.Response(status=206, body=piece, headers={"Content-Range": told, "ETag": etag})


def honest(content: bytes) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": str(len(content)), "ETag": '"e"'})
        return ranged(content, request.headers["Range"])

    return answer


@asynccontextmanager
async def raw(head: bytes, get: bytes) -> AsyncIterator[str]:
    """A server that answers with just these bytes, and leaves the connection open; gives its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await reader.readuntil(b"\r\n\r\n")
            writer.write(head if asked.startswith(b"HEAD") else get)
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def refused(measurer: Measurer, uri: str, rules: SourceRules) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), rules=rules)
    return caught.value


async def test_where_head_and_get_differ_get_is_right(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    async def lies(request: web.Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": "17", "ETag": '"of an error page"'})
        return ranged(bytes(5000), request.headers["Range"])

    site = await serve(lies)
    assert await measurer.measure(Source(site.url("/m")), rules=local) == ModelFacts(5000, 1, 5000, etag='"e"')


async def test_a_length_that_only_head_tells_is_an_estimate(local: SourceRules, measurer: Measurer) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n"
    get = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    async with raw(head, get) as url:
        facts = await measurer.measure(Source(f"{url}/m"), rules=local)
    assert facts == ModelFacts(123, 1, 123, basis="estimated")


@pytest.mark.parametrize(
    "get",
    [
        b"",
        b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\nContent-Range: bytes 0-0/0x10\r\n\r\nx",
        b"220 smtp.example.com\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    ],
)
async def test_nonsense_has_a_reason_and_is_not_told(measurer: Measurer, get: bytes) -> None:
    async with raw(b"HTTP/1.1 405 No\r\n\r\n", get) as url:
        error = await refused(measurer, f"{url}/m", rules_for(url, timeout="200ms"))
    assert error.reason in ("InvalidAnswer", "NoLength", "SourceUnavailable", "Timeout")
    assert "smtp" not in str(error)


async def test_what_head_is_refused_for_good_is_not_asked_for_again(
    measurer: Measurer, serve: Serve, local: SourceRules
) -> None:
    async def none(_: web.Request) -> web.Response:
        return web.Response(status=404)

    site = await serve(none)
    assert (await refused(measurer, site.url("/m"), local)).reason == "NotFound"
    assert [method for method, *_ in site.asked] == ["HEAD"]


async def test_a_file_that_get_refuses_is_refused(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    async def head_only(request: web.Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": "17"})
        return web.Response(status=429, headers={"Retry-After": "120"})

    error = await refused(measurer, (await serve(head_only)).url("/m"), local)
    assert (error.reason, error.retry_after) == ("RateLimited", 120)


async def test_a_host_that_wants_rest_is_left_alone_as_long_as_it_said(
    measurer: Measurer, serve: Serve, local: SourceRules
) -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "1000"})

    site = await serve(busy)
    for path in ("/a", "/b", "/c"):
        assert (await refused(measurer, site.url(path), local)).retry_after > 990
    assert len(site.asked) == 1


async def test_an_archive_is_looked_into_by_ranges(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    content = a_zip(100_000, 50_000)
    site = await serve(honest(content))
    facts = await measurer.measure(Source(site.url("/m.zip")), rules=local)
    assert facts == ModelFacts(len(content), 1, len(content), "zip", 150_000, etag='"e"')


def no_ranges(content: bytes) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=content, headers={"ETag": '"e"'})

    return answer


def other_ranges(content: bytes) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        found = ranged(content, "bytes=0-0")
        return found if request.method == "GET" else web.Response(headers={"Content-Length": str(len(content))})

    return answer


def another_file_each_time(content: bytes) -> Handler:
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": "5"})
        return ranged(content + bytes(asked), request.headers["Range"])

    return answer


def fails_after_the_first_byte(content: bytes) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "HEAD" or request.headers["Range"] == "bytes=0-0":
            return await honest(content)(request)  # type: ignore[return-value]
        return web.Response(status=503)

    return answer


def drips_after_the_first_byte(content: bytes) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD" or request.headers["Range"] == "bytes=0-0":
            return await honest(content)(request)
        response = web.StreamResponse(status=206)
        response.content_length = len(content)
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.Event().wait()
        raise AssertionError

    return answer


@pytest.mark.parametrize(
    "server",
    [no_ranges, other_ranges, another_file_each_time, fails_after_the_first_byte, drips_after_the_first_byte],
)
async def test_an_archive_that_cannot_be_looked_into_is_an_estimate(
    measurer: Measurer,
    serve: Serve,
    local: SourceRules,
    monkeypatch: pytest.MonkeyPatch,
    server: Callable[[bytes], Callable[[web.Request], Awaitable[web.StreamResponse]]],
) -> None:
    monkeypatch.setattr(archives, "_SECONDS", 0.1)
    site = await serve(server(a_zip(100_000)))
    facts = await measurer.measure(Source(site.url("/m.zip")), rules=local)
    assert (facts.archive, facts.unpacked, facts.basis) == ("zip", 0, "estimated")
    assert facts.bytes


async def test_a_forged_archive_is_measured_all_the_same(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    content = bytearray(a_zip(1000))
    at = content.index(b"PK\1\2")
    content[at + 24 : at + 28] = b"\xf0\xff\xff\xff"
    facts = await measurer.measure(Source((await serve(honest(bytes(content)))).url("/m.zip")), rules=local)
    assert facts.basis == "estimated"
    assert len(content) <= facts.unpacked <= 1032 * len(content)


async def test_the_length_is_that_of_what_travels_encoded_or_not(
    measurer: Measurer, serve: Serve, local: SourceRules
) -> None:
    """The downloader writes what comes, and decodes nothing."""

    async def encoded(request: web.Request) -> web.Response:
        response = ranged(bytes(700), request.headers.get("Range", "bytes=0-0"))
        response.headers["Content-Encoding"] = "gzip"
        return response

    site = await serve(encoded)
    assert (await measurer.measure(Source(site.url("/m.bin")), rules=local)).bytes == 700
    assert {headers["Accept-Encoding"] for *_, headers in site.asked} == {"identity"}


async def test_pieces_come_from_where_the_redirects_led(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    store = await serve(honest(a_zip(5000)))

    async def hop(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": store.url("/blob?signature=x")})

    site = await serve(hop)
    facts = await measurer.measure(Source(site.url("/m.zip")), rules=local)
    assert facts.unpacked == 5000
    assert len(site.asked) == 2


async def test_pieces_from_the_inside_are_not_read(measurer: Measurer, serve: Serve, listener: Listener) -> None:
    """A server that redirects only later questions gets no further."""

    async def hop(request: web.Request) -> web.Response:
        if request.headers.get("Range") not in (None, "bytes=0-0"):
            return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{listener.port}/x"})
        return await honest(a_zip(5000))(request)  # type: ignore[return-value]

    site = await serve(hop)
    facts = await measurer.measure(Source(site.url("/m.zip")), rules=rules_for(site.url("")))
    assert (facts.unpacked, facts.basis) == (0, "estimated")
    assert listener.connections == 0


async def test_a_slow_server_has_its_time_and_no_more(measurer: Measurer, serve: Serve) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    site = await serve(never)
    error = await refused(measurer, site.url("/m"), rules_for(site.url(""), timeout="100ms"))
    assert error.reason == "Timeout"


async def test_nothing_has_changed_where_the_server_says_so(
    measurer: Measurer, serve: Serve, local: SourceRules
) -> None:
    async def knows(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == '"e"':
            return web.Response(status=304)
        return await honest(b"four")(request)  # type: ignore[return-value]

    site = await serve(knows)
    source = Source(site.url("/m"))
    facts = await measurer.measure(source, rules=local)
    site.asked.clear()
    assert await measurer.unchanged(source, facts, rules=local)
    assert [method for method, *_ in site.asked] == ["HEAD"]


async def test_a_weak_etag_will_do(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    source = Source((await serve(honest(b"four"))).url("/m"))
    assert await measurer.unchanged(source, ModelFacts(4, 1, 4, etag='W/"e"'), rules=local)
    assert not await measurer.unchanged(source, ModelFacts(4, 1, 4, etag='W/"f"'), rules=local)


async def test_without_an_etag_the_length_tells(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    content = b"four"

    async def plain(request: web.Request) -> web.Response:
        return web.Response(body=content)

    source = Source((await serve(plain)).url("/m"))
    facts = await measurer.measure(source, rules=local)
    assert await measurer.unchanged(source, facts, rules=local)
    content = b"longer"
    assert not await measurer.unchanged(source, facts, rules=local)


async def test_an_archive_that_could_not_be_looked_into_is_worth_another_look(
    measurer: Measurer, serve: Serve, local: SourceRules
) -> None:
    content = a_zip(5000)
    source = Source((await serve(honest(content))).url("/m.zip"))
    unknown = ModelFacts(len(content), 1, len(content), "zip", 0, etag='"e"', basis="estimated")
    assert not await measurer.unchanged(source, unknown, rules=local)


@pytest.mark.parametrize(("status", "reason"), [(404, "NotFound"), (429, "RateLimited"), (503, "SourceUnavailable")])
async def test_what_cannot_be_asked_again_has_a_reason(
    measurer: Measurer, serve: Serve, local: SourceRules, status: int, reason: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    source = Source((await serve(answer)).url("/m"))
    with pytest.raises(MeasureError) as caught:
        await measurer.unchanged(source, ModelFacts(4, 1, 4, etag='"e"'), rules=local)
    assert caught.value.reason == reason


async def test_the_inside_is_not_asked_again_either(measurer: Measurer, listener: Listener) -> None:
    source = Source(f"http://127.0.0.1:{listener.port}/m")
    with pytest.raises(EgressDenied):
        await measurer.unchanged(source, ModelFacts(4, 1, 4, etag='"e"'), rules=SourceRules())
    assert listener.connections == 0
