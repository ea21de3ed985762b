"""A stub of WebHDFS, a namenode and a datanode in one, as documented for Hadoop 3; for tests.

https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import web

HEADERS: Final = {"X-Secret": "open-sesame"}


@dataclass
class NamenodeStub:
    """The server. An async context manager; it listens on a free port of the loopback.

    :param files: what is in each, by path; or only how long it is
    :param standby: whether another namenode is the active one
    :param private: whether it wants `HEADERS`
    :param kerberos: whether it wants a ticket
    :param asked: path, query and headers of every request
    """

    files: Mapping[str, bytes | int]
    standby: bool = False
    private: bool = False
    kerberos: bool = False
    tls: ssl.SSLContext | None = None
    written: int = 1_700_000_000_000
    port: int = 0
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/webhdfs/v1{path:/.*}", self._answer)
        app.router.add_get("/datanode{path:/.*}", self._read)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        path, operation = request.match_info["path"].rstrip("/") or "/", request.query["op"]
        self.asked.append((path, dict(request.query), dict(request.headers)))
        if self.kerberos:
            return web.Response(status=401, headers={"WWW-Authenticate": "Negotiate"}, text="secret words")
        if self.private and request.headers.get("X-Secret") != HEADERS["X-Secret"]:
            return _exception(403, "AccessControlException", "org.apache.hadoop.security")
        if self.standby:
            return _exception(403, "StandbyException", "org.apache.hadoop.ipc")
        if operation == "GETHOMEDIRECTORY":
            return web.json_response({"Path": "/user/me"})
        status = self._status(path, path.rpartition("/")[2])
        if status is None:
            return _exception(404, "FileNotFoundException", "java.io")
        if operation == "GETFILESTATUS":
            return web.json_response({"FileStatus": {**status, "pathSuffix": ""}})
        if operation == "LISTSTATUS":
            return web.json_response({"FileStatuses": {"FileStatus": self._inside(path)}})
        return web.Response(status=307, headers={"Location": f"{self.url}/datanode{path}?{request.query_string}"})

    async def _read(self, request: web.Request) -> web.Response:
        content = self.files[request.match_info["path"]]
        assert isinstance(content, bytes)
        at = int(request.query["offset"])
        return web.Response(body=content[at : at + int(request.query["length"])])

    def _inside(self, path: str) -> list[dict[str, Any]]:
        below = "/" if path == "/" else f"{path}/"
        names = dict.fromkeys(
            file.removeprefix(below).partition("/")[0] for file in self.files if file.startswith(below)
        )
        return [status for name in names if (status := self._status(f"{below}{name}", name))]

    def _status(self, path: str, name: str) -> dict[str, Any] | None:
        content = self.files.get(path)
        if content is None and path != "/" and not any(file.startswith(f"{path}/") for file in self.files):
            return None
        return {
            "accessTime": self.written, "blockSize": 134217728, "group": "supergroup", "modificationTime": self.written,
            "length": len(content) if isinstance(content, bytes) else content or 0, "owner": "me", "pathSuffix": name,
            "permission": "644", "replication": 3, "type": "DIRECTORY" if content is None else "FILE",
        }  # fmt: skip


def _exception(status: int, name: str, package: str) -> web.Response:
    told = {"exception": name, "javaClassName": f"{package}.{name}", "message": "secret words"}
    return web.json_response({"RemoteException": told}, status=status)
