from __future__ import annotations

import asyncio

from pullsizer.sources.egress import Door
from pullsizer.sources.proxying import Verdict
from pullsizer.sources.upstream import Upstream

from .doors import ask, names, server


class Upstreams:
    """A proxy of the environment's that notes what it is asked."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.heads: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(f"HTTP/1.1 {self.status} Word\r\nContent-Length: 2\r\n\r\nok".encode())


async def test_a_proxy_of_the_environment_is_gone_through() -> None:
    proxy = Upstreams()
    async with server(proxy.handle) as port:
        upstream = Upstream.of({"ALL_PROXY": f"http://me:pass@127.0.0.1:{port}"})
        async with Door(upstream=upstream, resolver=names(public=["1.1.1.1"])) as door:
            assert (await ask(door, "CONNECT public:443")).text.endswith("ok")
            assert (await ask(door, "GET http://public/file?x=y", "Accept: */*")).status == 200
    who = "Proxy-Authorization: Basic bWU6cGFzcw==\r\n"
    assert proxy.heads == [
        f"CONNECT public:443 HTTP/1.1\r\nHost: public:443\r\n{who}\r\n",
        f"GET http://public/file?x=y HTTP/1.1\r\nHost: public\r\nAccept: */*\r\n{who}Connection: close\r\n\r\n",
    ]


async def test_behind_a_proxy_addresses_are_checked_and_unknown_names_are_left_to_it() -> None:
    proxy = Upstreams()
    async with server(proxy.handle) as port:
        upstream = Upstream.of({"HTTPS_PROXY": f"http://127.0.0.1:{port}"})
        async with Door(upstream=upstream, resolver=names(inside=["10.0.0.1"])) as door:
            assert (await ask(door, "CONNECT 169.254.169.254:443")).verdict is Verdict.DENIED
            assert (await ask(door, "CONNECT inside:443")).verdict is Verdict.DENIED
            assert (await ask(door, "CONNECT only-the-proxy-knows:443")).status == 200
    assert len(proxy.heads) == 1


async def test_a_proxy_that_refuses_is_told_from_a_server_that_does() -> None:
    proxy = Upstreams(status=407)
    async with server(proxy.handle) as port:
        upstream = Upstream.of({"HTTPS_PROXY": f"http://127.0.0.1:{port}"})
        async with Door(upstream=upstream, resolver=names(public=["1.1.1.1"])) as door:
            assert (await ask(door, "CONNECT public:443")).verdict is Verdict.PROXY_REFUSED
