"""A stub of ModelScope's API, as far as models are listed by it; for tests.

`GET /api/v1/models/<owner>/<name>/repo/files?Revision=…&Recursive=…&Root=…`, with what is documented nowhere but in the
library that the downloader uses (modelscope_hub): not more than 3000 entries, and no word about more.

    any/<n>              that many small files, a hundred in each folder
    any/flat-<n>         the same in one folder
    any/status-<code>    answers with that status, and Retry-After
    any/private          needs the token `TOKEN`
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import web

TOKEN: Final = "ms-of-the-stub"
RETRY_AFTER: Final = 7
CAP: Final = 3000


def sizes(name: str) -> dict[str, int]:
    """The files of a repository."""
    if flat := re.fullmatch(r"flat-(\d+)", name):
        return {f"{number}.bin": number for number in range(int(flat[1]))}
    if count := re.fullmatch(r"(\d+)", name):
        return {f"{number // 100}/{number}.bin": number for number in range(int(count[1]))}
    return {"model.safetensors": 1_000_000, "config.json": 500, "assets/logo.png": 20} if name == "private" else {}


@dataclass
class ModelScopeStub:
    """The server. An async context manager; it listens on a free port of the loopback.

    :param files: of more repositories, by name
    :param asked: query and headers of every request
    """

    files: dict[str, dict[str, int]] = field(default_factory=dict)
    port: int = 0
    asked: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/api/v1/models/{owner}/{name}/repo/files", self._list)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        self.asked.append((dict(request.query), dict(request.headers)))
        name = request.match_info["name"]
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if status := re.fullmatch(r"status-(\d{3})", name):
            return web.Response(status=int(status[1]), headers={"Retry-After": str(RETRY_AFTER)}, text="secret words")
        found = self.files.get(name) or sizes(name)
        known = found and request.query["Revision"] in ("master", "v1.0")
        if not known or (name == "private" and (token != TOKEN or request.cookies.get("m_session_id") != TOKEN)):
            return web.json_response({"Code": 10010205001, "Message": "secret words", "Success": False}, status=404)
        root, recursive = request.query.get("Root", ""), request.query["Recursive"] == "True"
        entries = list(_entries(found, f"{root}/" if root else "", recursive=recursive))[:CAP]
        return web.json_response({"Code": 200, "Success": True, "Data": {"Files": entries}})


def _entries(files: dict[str, int], root: str, *, recursive: bool) -> Iterator[dict[str, Any]]:
    """Files, and each folder once, below a folder."""
    folders: set[str] = set()
    for path, size in files.items():
        if not path.startswith(root):
            continue
        parts = path.removeprefix(root).split("/")
        for depth in range(1, len(parts) if recursive else min(2, len(parts))):
            folder = root + "/".join(parts[:depth])
            if folder not in folders:
                folders.add(folder)
                yield {"Type": "tree", "Path": folder, "Name": parts[depth - 1], "Size": 0, "Mode": "40000"}
        if recursive or len(parts) == 1:
            digest = hashlib.sha256(path.encode()).hexdigest()
            yield {"Type": "blob", "Path": path, "Name": parts[-1], "Size": size, "Sha256": digest, "IsLFS": size > 100}
