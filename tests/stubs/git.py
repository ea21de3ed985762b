"""A git server for tests: the real `git http-backend`, behind a small CGI of aiohttp, with TLS.

git(1) makes the repositories, so the packs are such as servers on the Internet send.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from aiohttp import web

_IDENTITY = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **_IDENTITY}
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, input=stdin, capture_output=True, env=environ
    ).stdout


def make_repository(folder: Path, files: dict[str, bytes], **options: str) -> Path:
    """A repository with one commit of some files, on `main`."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", *(f"--{key.replace('_', '-')}={value}" for key, value in options.items()))
    commit(folder, files)
    return folder


def commit(folder: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "more")
    return git(folder, "rev-parse", "HEAD").decode().strip()


@dataclass
class GitServer:
    """The server. An async context manager; it listens on a free port of the loopback.

    :param root: where the repositories are
    :param v2: whether clients get the second version of the protocol when they ask for it
    :param login: user and password without which it gives nothing
    :param asked: method, path and Authorization of every request
    """

    root: Path
    tls: ssl.SSLContext
    v2: bool = True
    login: tuple[str, str] | None = None
    port: int = 0
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def url(self, path: str, user: str = "") -> str:
        return f"https://{user}localhost:{self.port}/{path}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        who = request.headers.get("Authorization")
        self.asked.append((request.method, request.path, who))
        if self.login and who != f"Basic {b64encode(':'.join(self.login).encode()).decode()}":
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="secret words"'})
        backend = await asyncio.create_subprocess_exec(
            "git", "http-backend", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": request.method, "PATH_INFO": request.path, "QUERY_STRING": request.query_string,
                "CONTENT_TYPE": request.headers.get("Content-Type", ""), "REMOTE_ADDR": "127.0.0.1",
                "GIT_PROTOCOL": request.headers.get("Git-Protocol", "") if self.v2 else "", **_IDENTITY,
            },
        )  # fmt: skip
        found, _ = await backend.communicate(await request.read())
        head, _, body = found.partition(b"\r\n\r\n")
        fields = dict(text.split(": ", 1) for text in head.decode().split("\r\n") if text)
        status = int(fields.pop("Status", "200").split(" ")[0])
        return web.Response(status=status, headers=fields, body=body)
