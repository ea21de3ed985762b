"""A stub of Azure Files, as far as folders are listed and files are read, and a proxy that leads to it; for tests.

https://learn.microsoft.com/rest/api/storageservices/list-directories-and-files
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web

ACCOUNT: Final = "account"
HOST: Final = f"{ACCOUNT}.file.core.windows.net"
KEY: Final = b64encode(b"the key of the stub").decode()
SIGNATURE: Final = "sv=2022-11-02&sp=rl&sig=of%2Bthe%2Fstub%3D"


@dataclass
class AzureFilesStub:
    """The server. An async context manager; it listens on a free port of the loopback.

    :param files: what is in each, by share and path; or only how long it is
    :param public: whether strangers may see all; else a key's or a URI's signature is needed
    :param page: entries in an answer
    :param asked: path, query and headers of every request
    """

    files: Mapping[str, bytes | int]
    tls: ssl.SSLContext
    public: bool = False
    page: int = 5000
    version: int = 1
    port: int = 0
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.query), dict(request.headers)))
        if not (self.public or _signed(request)):
            return _error(403, "AuthenticationFailed")
        path = request.match_info["path"]
        content = self.files.get(path)
        if isinstance(content, bytes) and "comp" not in request.query:
            first, _, last = request.headers["x-ms-range"].removeprefix("bytes=").partition("-")
            return web.Response(status=206, body=content[int(first) : int(last) + 1])
        below = f"{path}/"
        inside = [file.removeprefix(below) for file in self.files if file.startswith(below)]
        if not inside:
            return _error(404, "ResourceNotFound")
        names = list(dict.fromkeys(name.partition("/")[0] for name in inside))
        at = int(request.query.get("marker", "0"))
        entries = "".join(self._entry(f"{below}{name}", name) for name in names[at : at + self.page])
        marker = at + self.page if len(names) > at + self.page else ""
        xml = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://{HOST}/" '
            f'ShareName="share" DirectoryPath=""><Entries>{entries}</Entries><NextMarker>{marker}</NextMarker>'
            "</EnumerationResults>"
        )
        return web.Response(body=xml.encode(), content_type="application/xml")

    def _entry(self, path: str, name: str) -> str:
        odd = not name.isprintable()
        tag = f'<Name Encoded="true">{quote(name)}</Name>' if odd else f"<Name>{escape(name)}</Name>"
        if path not in self.files:
            return f"<Directory>{tag}<Properties /></Directory>"
        content = self.files[path]
        size = len(content) if isinstance(content, bytes) else content
        etag = f"<Etag>&quot;{self.version}&quot;</Etag>"
        return f"<File>{tag}<Properties><Content-Length>{size}</Content-Length>{etag}</Properties></File>"


def _signed(request: web.Request) -> bool:
    """Whether a request has the account's signature, in its header or its query."""
    if request.rel_url.raw_query_string.startswith(SIGNATURE) and "Authorization" not in request.headers:
        return True
    standard = (
        "Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date",
        "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range",
    )  # fmt: skip
    lines = [request.method, *(request.headers.get(name, "") for name in standard)]
    own = {name.lower(): value for name, value in request.headers.items() if name.lower().startswith("x-ms-")}
    lines += [f"{name}:{own[name]}" for name in sorted(own)]
    lines += [f"/{ACCOUNT}{request.raw_path.partition('?')[0]}"]
    lines += [f"{name}:{value}" for name, value in sorted(request.query.items())]
    wanted = hmac.new(b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return request.headers.get("Authorization") == f"SharedKey {ACCOUNT}:{b64encode(wanted).decode()}"


def _error(status: int, code: str) -> web.Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>secret words</Message></Error>'
    return web.Response(status=status, body=body.encode(), headers={"x-ms-error-code": code})


@asynccontextmanager
async def leading_to(port: int) -> AsyncIterator[str]:
    """The URL of a proxy that takes every host for the server on a port: Azure's names do not lead to the loopback."""
    tasks: set[asyncio.Task[None]] = set()

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        sink.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        there, to = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        try:
            await asyncio.gather(carry(reader, to), carry(there, writer))
        finally:
            to.transport.abort()
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(handle(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
