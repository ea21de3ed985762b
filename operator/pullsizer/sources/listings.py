"""What the Hub said a short while ago: one repository with several filters is one question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final

_KEPT: Final = 30.0
"""Seconds: services that are applied together ask together; a minute later the branch may have moved."""
_MOST_FILES: Final = 200_000
"""Over all that is kept; some 200 bytes each."""


@dataclass(frozen=True)
class Listing:
    """A repository at a revision: its commit, and its files with their sizes as far as the Hub told them."""

    sha: str
    files: tuple[tuple[str, int | None], ...]


class Listings:
    """A short-lived cache. Who asks while another's question is on its way waits for that answer."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, tuple[float, asyncio.Task[Listing]]] = {}
        self._waiting: dict[asyncio.Task[Listing], int] = {}

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Listing]]) -> Listing:
        """The listing for a key. Failures are not kept: their callers know when to ask again."""
        loop = asyncio.get_running_loop()
        until, task = self._asked.get(key, (0.0, None))
        if task is None or loop.time() >= until:
            task = loop.create_task(ask())
            self._asked[key] = (loop.time() + _KEPT, task)
        self._waiting[task] = self._waiting.get(task, 0) + 1
        try:
            return await asyncio.shield(task)
        finally:
            self._leave(key, task)

    def _leave(self, key: Hashable, task: asyncio.Task[Listing]) -> None:
        """The last to wait for a question that was not answered takes it with them."""
        self._waiting[task] -= 1
        if self._waiting[task]:
            return
        del self._waiting[task]
        if not task.done():
            task.cancel()
        if (not task.done() or task.cancelled() or task.exception()) and self._asked.get(key, (0, None))[1] is task:
            del self._asked[key]
        self._trim()

    def _trim(self) -> None:
        now = asyncio.get_running_loop().time()
        for key in [key for key, (until, task) in self._asked.items() if now >= until and task.done()]:
            del self._asked[key]
        files = 0
        for key, (_, task) in reversed(list(self._asked.items())):
            if task.done():
                files += len(task.result().files) + 1
                if files > _MOST_FILES:
                    del self._asked[key]

    async def close(self) -> None:
        tasks = [task for _, task in self._asked.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
