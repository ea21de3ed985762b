"""HTTP as it is sent by those who write it by hand, by proxies, by curl, and by those who mean harm."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.runtime.server.by_hand import ANSWER, GOOD, PREDICT, chunked, post, raw
from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import IMAGES

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
