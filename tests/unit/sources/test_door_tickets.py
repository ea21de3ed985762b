from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from pullsizer.sources.addresses import EgressRules
from pullsizer.sources.egress import Door, DoorLimits
from pullsizer.sources.proxying import Verdict
from pullsizer.sources.tickets import Ticket

from .conftest import Listener
from .doors import LOOPBACK, Reply, connect, echo, names, reply, server


async def ask(door: Door, ticket: Ticket, first: str) -> Reply:
    reader, writer = await connect(door)
    writer.write(f"{first} HTTP/1.1\r\nProxy-Authorization: {ticket.authorization}\r\n\r\n".encode())
    return await reply(door, reader, writer)


async def test_a_ticket_lets_its_holder_through_to_its_targets() -> None:
    async with server(echo) as port, Door(LOOPBACK) as door, door.ticket([("127.0.0.1", port)], 1000) as ticket:
        reader, writer = await connect(door)
        head = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nProxy-Authorization: {ticket.authorization}\r\n\r\nhello"
        writer.write(head.encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connected\r\n\r\n"
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()
        assert ticket.refused == []


async def test_a_ticket_holds_what_the_door_refused_under_it(listener: Listener) -> None:
    rules = EgressRules(endpoints=frozenset({("127.0.0.1", listener.port), ("shop", 80)}))
    async with Door(rules, resolver=names(public=["1.1.1.1"])) as door:
        async with door.ticket([("shop", 80)], 1000) as ticket, door.ticket([], 1000) as other:
            await ask(door, ticket, "CONNECT shop:80")
            await ask(door, ticket, "CONNECT 127.0.0.2:80")
            await ask(door, ticket, f"CONNECT 127.0.0.1:{listener.port}")
            await ask(door, ticket, "GET http://public/")
            await ask(door, ticket, "GET http://a@public/")
        assert ticket.refused == [
            Verdict.UNKNOWN_HOST,
            Verdict.DENIED,
            Verdict.ELSEWHERE,
            Verdict.ELSEWHERE,
            Verdict.NO_HOST,
        ]
        assert other.refused == []
    assert listener.connections == 0


async def test_a_ticket_ends(listener: Listener) -> None:
    async with Door(LOOPBACK) as door:
        async with door.ticket([("127.0.0.1", listener.port)], 1000) as ticket:
            pass
        assert (await ask(door, ticket, f"CONNECT 127.0.0.1:{listener.port}")).status == 407
    assert listener.connections == 0


async def test_connections_end_with_their_ticket_and_no_others() -> None:
    async with server(echo) as port, Door(LOOPBACK) as door, door.ticket([("127.0.0.1", port)], 1000) as kept:
        ends = []
        async with door.ticket([("127.0.0.1", port)], 1000) as ticket:
            for one in (ticket, kept):
                reader, writer = await connect(door)
                head = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nProxy-Authorization: {one.authorization}\r\n\r\n"
                writer.write(head.encode())
                await reader.readuntil(b"\r\n\r\n")
                ends.append((reader, writer))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await ends[0][0].readexactly(1)
        ends[1][1].write(b"still")
        assert await ends[1][0].readexactly(5) == b"still"
        for _, writer in ends:
            writer.close()


async def test_a_ticket_bounds_the_bytes_of_each_connection() -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 11)
        await asyncio.Event().wait()

    async with (
        server(handle) as port,
        Door(LOOPBACK, limits=DoorLimits(bytes=1000)) as door,
        door.ticket([("127.0.0.1", port)], 10) as ticket,
    ):
        found = await ask(door, ticket, f"CONNECT 127.0.0.1:{port}")
    assert (found.status, "x" in found.text) == (200, False)


async def test_new_rules_hold_for_tickets_too(listener: Listener) -> None:
    async with Door(LOOPBACK) as door, door.ticket([("127.0.0.1", listener.port)], 1000) as ticket:
        assert (await ask(door, ticket, f"CONNECT 127.0.0.1:{listener.port}")).status == 200
        door.replace(EgressRules(networks=(ip_network("10.0.0.0/8"),)))
        assert (await ask(door, ticket, f"CONNECT 127.0.0.1:{listener.port}")).verdict is Verdict.DENIED


def test_tickets_keep_their_secret_to_themselves() -> None:
    ticket = Ticket(frozenset(), 1)
    assert ticket.secret not in repr(ticket)
    assert ticket.secret in ticket.url("http://127.0.0.1:1")
