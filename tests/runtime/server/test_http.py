"""HTTP as it is sent by those who write it by hand, by proxies, by curl, and by those who mean harm."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from classifier_runtime.core.room import REQUESTS_AT_ONCE
from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import IMAGES

PREDICT = "/v1/models/model:predict"
GOOD = b'{"instances": ["5"]}'
ANSWER = b'{"predictions":[0]}'
V2_GOOD = b'{"inputs": [{"name": "a", "shape": [1], "datatype": "BYTES", "data": ["5"]}]}'
PATHS = {PREDICT: GOOD, "/v2/models/model/infer": V2_GOOD, "/": b'{"inputs": "5"}'}


@contextmanager
def allocating_at_most(megabytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1_000_000
    finally:
        tracemalloc.stop()


async def raw(client: Client, sent: bytes, then: bytes = b"") -> tuple[bytes, list[bytes], bytes]:
    """Status line, headers and body of the last answer on a connection, where each has a length.

    :param then: sent after the first answer
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    try:
        async with asyncio.timeout(20):
            for part in (sent, then) if then else (sent,):
                writer.write(part)
                status, *headers = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
                length = next((int(one[15:]) for one in headers if one.lower().startswith(b"content-length:")), 0)
                body = await reader.readexactly(length)
    finally:
        writer.close()
    return status, headers, body


def post(*headers: bytes, body: bytes = GOOD, target: bytes = PREDICT.encode(), length: int | None = None) -> bytes:
    """:param length: what is said of it, where that is not its own; negative for nothing"""
    said = len(body) if length is None else length
    lines = [b"POST %s HTTP/1.1" % target, b"Host: x", *headers, *([b"Content-Length: %d" % said] if said >= 0 else [])]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in chunks) + b"0\r\n\r\n"
    return post(b"Transfer-Encoding: chunked", body=body, length=-1)


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (post(), b"200", ANSWER),
        (post(target=b"http://there:80" + PREDICT.encode()), b"200", ANSWER),
        (post(target=PREDICT.encode() + b"?"), b"200", ANSWER),
        (post(target=b"/v1/models/m%6fdel%3Apredict"), b"200", ANSWER),
        (post(target=b"/v1/models/mo%00del:predict"), b"404", b"does not exist"),
        (post(target=b"/v1/models/%zz%ff:predict"), b"404", b"does not exist"),
        (post(target=b"/v1/models/a/b:predict"), b"404", b"there is nothing at this path"),
        (post(target=b"/v1/models/:predict"), b"404", b"there is nothing at this path"),
        (post(target=b"/v1/models/model%2F..%2Fmodel:predict"), b"404", b"there is nothing at this path"),
        (post(target=b"/v2/models/" + b"/versions/x" * 700), b"404", b"there is nothing at this path"),
        (chunked(GOOD), b"200", ANSWER),
        (chunked(*[GOOD[at : at + 1] for at in range(len(GOOD))]), b"200", ANSWER),
        (chunked(), b"400", b"the body is empty"),
        (post(b"Expect: something-else"), b"200", ANSWER),
        (post(b"Connection: Upgrade", b"Upgrade: h2c"), b"200", ANSWER),
        (post(b"Content-Encoding: identity"), b"200", ANSWER),
        (post(b"Content-Encoding: gzip, gzip"), b"400", b"packed by 'gzip, gzip'"),
        (post(b"Content-Encoding: br"), b"400", b"packed by 'br'"),
        (
            post(b"Content-Encoding: deflate"),
            b"400",
            b'{"error":"the body is not packed as its Content-Encoding says"}',
        ),
        (post(length=10**12), b"413", b"more than 33554432 bytes"),
        (post(body=b"", length=-1), b"400", b"the body is empty"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"405", b"send a GET, POST"),
        (b"OPTIONS %s HTTP/1.1\r\nHost: x\r\n\r\n" % PREDICT.encode(), b"405", b"send a POST"),
        (b"DELETE %s HTTP/1.1\r\nHost: x\r\n\r\n" % PREDICT.encode(), b"405", b"send a POST"),
        (b"GET /v2/health/ready HTTP/1.0\r\n\r\n", b"200", b'"ready":true'),
        (b"GET /v1/models/model HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", b"200", b'"ready":true'),
        # what is no HTTP is told so
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400", b'{"error":"not HTTP as it should be: '),
        (b"P\x00ST / HTTP/1.1\r\n\r\n", b"400", b'{"error":"not HTTP as it should be: '),
        (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 20_000), b"400", b'{"error":"not HTTP as it should be: '),
        (post(b"X: " + b"a" * 20_000), b"400", b'{"error":"not HTTP as it should be: '),
        (post(b"Transfer-Encoding: chunked"), b"400", b'{"error":"not HTTP as it should be: '),
        (post(b"Content-Length: 5"), b"400", b'{"error":"not HTTP as it should be: '),
        (
            post(b"Transfer-Encoding: chunked", body=b"zz\r\n", length=-1),
            b"400",
            b'{"error":"not HTTP as it should be: ',
        ),
    ],
)
async def test_whatever_is_sent_has_an_answer(client: Client, sent: bytes, status: bytes, body: bytes) -> None:
    line, _, found = await raw(client, sent)
    assert line.split()[1] == status, (line, found)
    assert body in found
    assert await client.predict("1 2 -1") == [1]


async def test_a_model_may_have_a_slash_in_its_name(start: Start) -> None:
    client = await start(model_name="org/model")
    for path in ("/v1/models/org/model:predict", "/v1/models/org%2Fmodel:predict"):
        assert (await raw(client, post(target=path.encode())))[2] == ANSWER


async def test_a_head_is_a_get_without_its_body(client: Client) -> None:
    for path in ("/", "/v1/models", "/v1/models/model", "/v2", "/v2/models/model/ready", "/metrics"):
        async with client.session.head(client.url + path) as answer:
            assert (answer.status, await answer.read()) == (200, b"")


async def test_a_body_that_is_announced_is_asked_for(client: Client) -> None:
    sent = post(b"Expect: 100-continue", body=b"", length=len(GOOD))
    line, _, body = await raw(client, sent, then=GOOD)
    assert (line.split()[1], body) == (b"200", ANSWER) if body else (line.split()[1], body) == (b"100", b"")
    async with client.session.post(client.url + PREDICT, data=GOOD, expect100=True) as answer:
        assert await answer.read() == ANSWER


async def test_a_body_that_is_too_large_is_not_asked_for(client: Client) -> None:
    line, _, _ = await raw(client, post(b"Expect: 100-continue", body=b"", length=10**9))
    assert line.split()[1] == b"413"


async def test_a_body_that_does_not_come_is_not_waited_for(start: Start) -> None:
    client = await start(request_timeout_seconds=0.3)
    line, _, body = await raw(client, post(length=len(GOOD) + 1))
    assert line.split()[1] == b"408"
    assert b"the body did not come within 0.3 s" in body
    assert await client.predict("5") == [0]


async def taken(client: Client, sent: bytes, size: int) -> asyncio.StreamWriter:
    """Sends what is not all of a request, and returns when room of this size is taken for it."""
    _, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(sent)
    await room_taken(client, client.server.serving.room.taken + size)
    return writer


async def room_taken(client: Client, size: int) -> None:
    async with asyncio.timeout(20):
        while client.server.serving.room.taken != size:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)


async def test_large_requests_have_room_beside_others_or_come_again_and_small_ones_always_do(start: Start) -> None:
    client = await start(max_request_bytes=100_000)
    announced = post(length=100_000, body=b"{")
    waiting = [await taken(client, announced, 100_000) for _ in range(REQUESTS_AT_ONCE)]

    line, headers, body = await raw(client, announced)
    assert line.split()[1] == b"429"
    assert b"Retry-After: 1" in headers
    assert b"no room" in body
    for small in (post(), chunked(GOOD), post(b"Content-Encoding: gzip", body=gzip.compress(GOOD))):
        assert (await raw(client, small))[2] == ANSWER

    for writer in waiting:
        writer.close()
        await writer.wait_closed()
    await room_taken(client, 0)
    assert (await client.refused(b" " * 90_000))[0] == 400


PIECE = b"%x\r\n%s\r\n" % (70_000, b" " * 70_000)


@pytest.mark.parametrize(
    ("sent", "size"),
    [
        (post(length=70_000), 70_000),
        (post(b"Content-Encoding: identity", length=70_000), 70_000),
        (post(length=65_536), 0),
        (post(b"Transfer-Encoding: chunked", length=-1, body=PIECE), 70_000),
        (post(b"Content-Encoding: gzip", length=100_000, body=gzip.compress(b" " * 70_000)), 70_000),
    ],
)
async def test_a_body_takes_the_room_that_it_says_or_that_came(start: Start, sent: bytes, size: int) -> None:
    client = await start(max_request_bytes=1_000_000)

    writer = await taken(client, sent, size)
    writer.close()
    await writer.wait_closed()


async def test_what_comes_piece_by_piece_has_room_beside_others_or_comes_again(start: Start) -> None:
    client = await start(max_request_bytes=100_000)
    begun = post(b"Transfer-Encoding: chunked", length=-1, body=PIECE)
    waiting = [await taken(client, begun, 70_000) for _ in range(REQUESTS_AT_ONCE * 100_000 // 70_000)]

    line, _, body = await raw(client, begun)
    assert line.split()[1] == b"429"
    assert b"no room" in body
    for writer in waiting:
        writer.close()
        await writer.wait_closed()
    await room_taken(client, 0)


@pytest.mark.parametrize("sent", [b"", post()[:30]])
async def test_a_connection_without_a_request_is_not_kept_for_ever(start: Start, sent: bytes) -> None:
    client = await start(timeout_keep_alive=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(sent)
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    writer.close()


async def test_a_hundred_slow_clients_keep_nobody_waiting(client: Client) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", client.server.port) for _ in range(100)]
    for number, (_, writer) in enumerate(slow):
        writer.write(post(length=len(GOOD) + 1)[: number + 1])
    assert await client.predict("5") == [0]
    assert await client.ask("/v2/health/live") == (200, {"live": True})
    for _, writer in slow:
        writer.close()


async def test_a_client_that_goes_while_it_sends_is_no_error_of_ours(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(post(length=1000))
    await writer.drain()
    writer.close()
    await client.metric('classifier_requests_total{code="499",protocol="v1"} ')
    assert await client.predict("5") == [0]
    assert "a request failed" not in caplog.text


@pytest.mark.parametrize("path", PATHS)
async def test_a_small_body_that_unpacks_to_a_huge_one_takes_little_memory(start: Start, path: str) -> None:
    client = await start(max_request_bytes=1_000_000)
    bomb = gzip.compress(PATHS[path][:-1] + b" " * 50_000_000, 1)
    assert len(bomb) < 1_000_000
    with allocating_at_most(20):
        assert (await client.refused(bomb, path, headers={"Content-Encoding": "gzip"}))[0] == 413
    assert (await client.ask(path, PATHS[path]))[0] == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"null",
        b"7",
        b'"text"',
        b"[" * 100_000,
        b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"parameters": {"threshold": 1e400}, %s',
        b'{"parameters": {"threshold": 1%s}, %%s' % (b"0" * 400),
        b'{"parameters": {"threshold": NaN}, %s',
        b'{"parameters": {"threshold": -Infinity}, %s',
        b'{"parameters": {"threshold": 0x10}, %s',
        b'{"parameters": {"threshold": 01}, %s',
        b'{"parameters": [["top_k", 1]], %s',
        b'{"parameters": "top_k=1", %s',
        b'{"parameters": 0, %s',
        b'{"parameters": false, %s',
        b"{'parameters': {}, %s",
        b'{"parameters": {},, %s',
        b'{"parameters": {"hypothesis_template": "\\ud800 {}"}, %s',
        b'{"parameters": {"hypothesis_template": "\xff {}"}, %s',
        b"\xef\xbb\xbf{%s",
        b"\x1f\x8b{%s",
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_what_is_no_json_of_a_request_is_a_400(client: Client, path: str, body: bytes) -> None:
    status, sentence = await client.refused(body.replace(b"%s", PATHS[path][1:]), path)
    assert status == 400
    assert sentence


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
async def test_text_in_another_charset_is_read_where_it_says_so_or_refused(
    client: Client, path: str, charset: str
) -> None:
    body = PATHS[path].decode().encode(charset)
    assert (await client.refused(body, path))[0] == 400
    headers = {"Content-Type": f'application/json; charset="{charset}"'}
    said = await client.ask(path, body, headers=headers)
    assert said[0] == (400 if "v2" in path else 200)  # the protocol knows only UTF-8


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "utf-7", "zlib", "rot13", "nobody", ""])
async def test_a_charset_that_no_client_sends_is_refused_before_it_is_read(client: Client, charset: str) -> None:
    body = b'{"instances": ["' + b"a" * 1_000_000 + b"-" + b"b9" * 1_000_000
    headers = {"Content-Type": f"application/json; charset={charset}"}
    status, sentence = await client.refused(body, PREDICT, headers=headers)
    assert (status, sentence) == (400, f"the content type's charset {charset!r} is not read here; send UTF-8")


DEEP = "[" * 1000 + "]" * 1000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *[
            (path, f'{{"parameters": {{"{option}": {DEEP}}}, {good.decode()[1:]}')
            for path, good in PATHS.items()
            for option in ("id2label", "top_k", "threshold", "function_to_apply", "ignore_labels", "candidate_labels")
        ],
        (PREDICT, f'{{"instances": [{{"text": "5", "parameters": {{"stride": {DEEP}}}}}]}}'),
        (PREDICT, f'{{"instances": [{DEEP}]}}'),
        (PREDICT, f'{{"instances": {DEEP[1:-1]}, "parameters": {DEEP}}}'),
        ("/v2/models/model/infer", V2_GOOD.decode()[:-1] + f', "id": {DEEP}}}'),
        ("/v2/models/model/infer", V2_GOOD.decode()[:-1] + f', "outputs": [{{"name": {DEEP}}}]}}'),
        ("/v2/models/model/infer", V2_GOOD.decode().replace('"BYTES"', DEEP)),
        ("/v2/models/model/infer", V2_GOOD.decode().replace('["5"]', DEEP)),
        ("/v2/models/model/infer", V2_GOOD.decode().replace("[1]", DEEP)),
    ],
)
async def test_lists_a_thousand_deep_are_refused_like_others(client: Client, path: str, body: str) -> None:
    status, sentence = await client.refused(body.encode(), path)
    assert status == 400
    assert len(sentence) < 400


MANY = 1_000_000


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PREDICT, b'{"instances": [%s""]}' % (b'"",' * MANY), 413),
        (PREDICT, b'{"instances": [%s[]]}' % (b"[]," * MANY), 413),
        ("/", b'{"inputs": [%s""]}' % (b'"",' * MANY), 413),
        ("/v2/models/model/infer", V2_GOOD.replace(b'["5"]', b'[%s""]' % (b'"",' * MANY)), 413),
        ("/v2/models/model/infer", V2_GOOD.replace(b"[1]", b"[%s1]" % (b"1152921504606846976," * MANY)), 400),
        ("/v2/models/model/infer", V2_GOOD.replace(b"[1]", b"[%s1]" % (b"1152921504606846976," * 30)), 400),
        ("/v2/models/model/infer", b'{"inputs": [%s{}]}' % (b"{}," * MANY), 400),
        ("/v2/models/model/infer", V2_GOOD[:-1] + b', "outputs": [%s{}]}' % (b'{"name": "labels"},' * MANY), 400),
        (PREDICT, b'{"instances": ["5"], "parameters": {"%s": 1}}' % (b"ab" * MANY * 5), 400),
        (PREDICT, b'{"instances": [{"%s": 1}]}' % (b"ab" * MANY * 5), 400),
        (PREDICT, b'{"instances": ["5"], "parameters": {"threshold": [%s1]}}' % (b'"x",' * MANY), 400),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else None,
)
async def test_millions_are_refused_before_anything_is_made_of_them(
    client: Client, path: str, body: bytes, status: int
) -> None:
    found, sentence = await client.refused(body, path)
    assert (found, len(sentence) < 400) == (status, True)


async def test_the_last_of_equal_keys_counts(client: Client) -> None:
    body = b'{"instances": ["1 2 -1"], "parameters": {"id2label": true, "id2label": false}, "instances": ["5"]}'
    assert await client.ask(PREDICT, body) == (200, {"predictions": [0]})


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("id2label", 400),
        ("id2label=", 400),
        ("top_k=%zz", 400),
        ("top_k=%ff", 400),
        ("id2label=1&id2label=0", 400),
        ("parameters=%7B%7D", 400),
        ("=1", 400),
        ("&".join(["top_k=1"] * 600), 400),
        ("&&", 200),
        ("id2label=true&top_k=+1", 200),
        ("candidate_labels=a%2Cb", 200),
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_a_query_is_read_or_refused(client: Client, path: str, query: str, status: int) -> None:
    assert (await client.ask(f"{path}?{query}", PATHS[path]))[0] == status


@pytest.mark.parametrize(("body", "status"), [(b' \n{"inputs": "MCAwIDM="}', 200), (b"", 400), (b"0 0 3", 200)])
async def test_an_image_s_body_is_told_from_an_object_that_has_one(start: Start, body: bytes, status: int) -> None:
    client = await start(IMAGES)
    headers: dict[str, Any] = {"Content-Type": "application/x-www-form-urlencoded"}
    async with client.session.post(client.url + "/", data=body, headers=headers) as answer:
        assert answer.status == status or not body
