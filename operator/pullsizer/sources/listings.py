"""What the Hub said a short while ago: one repository with several filters is one question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

_KEPT: Final = 30.0
"""Seconds: services that are applied together ask together; a minute later the branch may have moved."""
_MOST_FILES: Final = 200_000
"""Over all that is kept; some 200 bytes each."""

Way: TypeAlias = Literal["xet", "lfs", "plain"]
"""How a Hub offers a file: from Xet's store, from that of Git LFS, or from the Git repository itself."""
File: TypeAlias = tuple[str, int | None, Way | None]
"""Path, bytes and way, the last two as far as the Hub told them."""


@dataclass(frozen=True)
class Listing:
    """A repository at a revision: its commit, if the Hub told it, and its files."""

    commit: str
    files: tuple[File, ...]


@dataclass(eq=False)
class _Question:
    until: float
    task: asyncio.Task[Listing]
    waiting: int = 0
    files: int = 0


class Listings:
    """A short-lived cache. Who asks while another's question is on its way waits for that answer."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, _Question] = {}  # the oldest first
        self._files = 0

    async def get(
        self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Listing]], *, anew: bool = False
    ) -> Listing:
        """The listing for a key. Failures are not kept: their callers know when to ask again.

        :param anew: what is kept is no answer; what is on its way is
        """
        loop = asyncio.get_running_loop()
        question = self._asked.get(key)
        if question is None or loop.time() >= question.until or (anew and question.task.done()):
            self._drop(key)
            question = self._asked[key] = _Question(loop.time() + _KEPT, loop.create_task(ask()))
        question.waiting += 1
        try:
            listing = await asyncio.shield(question.task)
        except BaseException:
            question.waiting -= 1
            # The last to wait for a question that is not answered takes it with them.
            if not question.waiting or question.task.done():
                question.task.cancel()
                if self._asked.get(key) is question:
                    self._drop(key)
            raise
        question.waiting -= 1
        if not question.files and self._asked.get(key) is question:
            question.files = len(listing.files) + 1
            self._files += question.files
        self._trim(loop.time())
        return listing

    def _drop(self, key: Hashable) -> None:
        question = self._asked.pop(key, None)
        if question is not None:
            self._files -= question.files

    def _trim(self, now: float) -> None:
        while self._asked:
            key, oldest = next(iter(self._asked.items()))
            if not oldest.files or (now < oldest.until and self._files <= _MOST_FILES):
                return
            self._drop(key)

    async def close(self) -> None:
        tasks = [question.task for question in self._asked.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
