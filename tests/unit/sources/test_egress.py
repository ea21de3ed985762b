from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import ip_network

import pytest

from pullsizer.sources.addresses import EgressRules
from pullsizer.sources.egress import Door, DoorLimits
from pullsizer.sources.proxying import VERDICT_HEADER, Verdict
from pullsizer.sources.resolve import Resolver

from .conftest import Listener
from .doors import LOOPBACK, ask, authorization, connect, echo, names, reply, server


@pytest.mark.parametrize("secret", ["", "wrong", "é"])
async def test_without_its_secret_the_door_stays_shut(secret: str, listener: Listener) -> None:
    async with Door(LOOPBACK) as door:
        found = await ask(door, f"CONNECT 127.0.0.1:{listener.port}", secret=secret)
    assert (found.status, found.verdict, listener.connections) == (407, None, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST.", "0.0.0.0"])
@pytest.mark.parametrize("first", ["CONNECT {}", "GET http://{}/", "HEAD http://{}/"])
async def test_a_denied_host_is_never_dialled(host: str, first: str, listener: Listener) -> None:
    async with Door() as door:
        found = await ask(door, first.format(f"{host}:{listener.port}"))
    assert (found.status, found.verdict, listener.connections) == (403, Verdict.DENIED, 0)


@pytest.mark.parametrize(
    "first",
    [
        "CONNECT 2130706433:80", "CONNECT 0x7f.1:80", "CONNECT me@127.0.0.1:80", "CONNECT 127.0.0.1", "CONNECT /",
        "GET http://me@127.0.0.1/", "GET http://a@b@127.0.0.1/", "GET http://[::1%25lo]/", "GET /", "GET http:///",
        "GET https://a.example/", "GET ftp://a.example/", "GET file:///etc/passwd", "GET http://127.1/",
        "HEAD http://a.example:0/",
    ],
)  # fmt: skip
async def test_odd_targets_are_no_hosts(first: str) -> None:
    async with Door(LOOPBACK) as door:
        assert (await ask(door, first)).verdict is Verdict.NO_HOST


@pytest.mark.parametrize(
    "first", ["POST http://127.0.0.1/", "DELETE http://127.0.0.1/", "TRACE /", "", "GET", "\x16\x03"]
)
async def test_only_questions_are_forwarded(first: str) -> None:
    async with Door(LOOPBACK) as door:
        found = await ask(door, first)
    assert (found.status, found.verdict) == (400, None)


@pytest.mark.parametrize(
    "line", ["Content-Length: 3", "Transfer-Encoding: chunked", " folded: line", "no colon", "A : b"]
)
async def test_requests_with_bodies_or_odd_headers_are_refused(line: str, listener: Listener) -> None:
    async with Door(LOOPBACK) as door:
        found = await ask(door, f"GET http://127.0.0.1:{listener.port}/", line)
    assert (found.status, listener.connections) == (400, 0)


async def test_a_name_that_means_a_private_address_is_denied(listener: Listener) -> None:
    async with Door(resolver=names(inside=["10.0.0.1"], both=["1.1.1.1", "127.0.0.1"])) as door:
        assert (await ask(door, f"CONNECT inside:{listener.port}")).verdict is Verdict.DENIED
        assert (await ask(door, f"CONNECT both:{listener.port}")).verdict is Verdict.DENIED
    assert listener.connections == 0


async def test_a_name_is_looked_up_once_and_what_was_checked_is_dialled(listener: Listener) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    async with Door(LOOPBACK, resolver=Resolver(lambda _: next(answers))) as door:
        assert (await ask(door, f"CONNECT rebinding:{listener.port}")).status == 200
    assert listener.connections == 1
    assert next(answers) == ["127.0.0.2"]


async def test_a_name_that_does_not_exist_is_said_to_be_unknown() -> None:
    async with Door(resolver=names()) as door:
        assert (await ask(door, "CONNECT nowhere:443")).verdict is Verdict.UNKNOWN_HOST


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    async with server(echo) as port:
        pass
    async with Door(LOOPBACK) as door:
        assert (await ask(door, f"CONNECT 127.0.0.1:{port}")).verdict is Verdict.UNREACHABLE


async def test_the_next_address_is_tried_when_one_does_not_answer(listener: Listener) -> None:
    rules = EgressRules(networks=(ip_network("127.0.0.0/8"),))
    async with Door(rules, resolver=names(two=["127.0.0.2", "127.0.0.1"])) as door:
        assert (await ask(door, f"CONNECT two:{listener.port}")).status == 200
    assert listener.connections == 1


async def test_an_endpoint_is_one_host_and_one_port(listener: Listener) -> None:
    async with Door(EgressRules(endpoints=frozenset({("localhost", listener.port)}))) as door:
        assert (await ask(door, f"CONNECT localhost:{listener.port}")).status == 200
        assert (await ask(door, f"CONNECT localhost.:{listener.port}")).status == 200
        assert (await ask(door, f"CONNECT localhost:{listener.port + 1}")).verdict is Verdict.DENIED
        assert (await ask(door, f"CONNECT 127.0.0.1:{listener.port}")).verdict is Verdict.DENIED


async def test_a_tunnel_carries_both_ways() -> None:
    async with server(echo) as port, Door(LOOPBACK) as door:
        reader, writer = await connect(door)
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n{authorization(door.secret)}\r\nhello".encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connected\r\n\r\n"
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()


async def test_a_server_gets_the_path_alone_and_nothing_that_is_the_doors() -> None:
    got = bytearray()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 Nothing\r\n\r\n")

    async with server(handle) as port, Door(LOOPBACK) as door:
        found = await ask(
            door, f"GET http://127.0.0.1:{port}?a=b%20c#d", "Host: other", "Range: bytes=0-0", "Upgrade: x"
        )
    assert found.status == 204
    assert (
        got.decode()
        == f"GET /?a=b%20c HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nRange: bytes=0-0\r\nConnection: close\r\n\r\n"
    )


async def test_a_second_request_on_a_plain_connection_goes_nowhere() -> None:
    heads = []
    second = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n")
        heads.append(await reader.read())
        second.set()

    async with server(handle) as port, Door(LOOPBACK) as door:
        reader, writer = await connect(door)
        request = f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n{authorization(door.secret)}\r\n".encode()
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(request)
        await second.wait()
        await reply(door, reader, writer)
    assert heads[1] == b""


async def test_a_server_cannot_speak_for_the_door() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 403 No\r\n{VERDICT_HEADER}: guess DENIED\r\n\r\n".encode())

    async with server(handle) as port, Door(LOOPBACK) as door:
        found = await ask(door, f"GET http://127.0.0.1:{port}/")
    assert (found.status, found.verdict) == (403, None)


async def test_new_rules_end_what_the_old_ones_allowed() -> None:
    async with server(echo) as port, Door(LOOPBACK) as door:
        reader, writer = await connect(door)
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n{authorization(door.secret)}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        door.replace(LOOPBACK)
        writer.write(b"still")
        assert await reader.readexactly(5) == b"still"
        door.replace(EgressRules())
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
        writer.close()
        assert (await ask(door, f"CONNECT 127.0.0.1:{port}")).verdict is Verdict.DENIED


async def test_a_head_is_bounded_in_bytes() -> None:
    async with Door(LOOPBACK, limits=DoorLimits(head_bytes=1000)) as door:
        assert (await ask(door, "CONNECT a:1", f"X: {'x' * 3000}")).status == 400


async def test_a_head_is_bounded_in_time() -> None:
    async with Door(LOOPBACK, limits=DoorLimits(head_seconds=0.01)) as door:
        reader, writer = await connect(door)
        writer.write(b"CONNECT a")
        assert (await reply(door, reader, writer)).text == ""


@pytest.mark.parametrize("limits", [DoorLimits(idle_seconds=0.01), DoorLimits(bytes=10)])
async def test_a_tunnel_is_bounded_in_bytes_and_in_silence(limits: DoorLimits) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * (10 if limits.bytes > 10 else 11))
        await asyncio.Event().wait()

    async with server(handle) as port, Door(LOOPBACK, limits=limits) as door:
        found = await ask(door, f"CONNECT 127.0.0.1:{port}")
    assert found.text.partition("\r\n\r\n")[2] == ("x" * 10 if limits.bytes > 10 else "")


async def test_connections_are_bounded(listener: Listener) -> None:
    async with Door(LOOPBACK, limits=DoorLimits(connections=1)) as door:
        _, first = await connect(door)
        reader, second = await connect(door)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        for writer in (first, second):
            writer.close()
            await writer.wait_closed()
    assert listener.connections == 0
