"""The downloader's filters, held against many names without holding up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from pullsizer.model import Source

T = TypeVar("T")

_MANY: Final = 10_000
"""Names times patterns: some 10 ms, which is too long for the loop."""
_LONG: Final = 256
"""Characters of patterns, which take some 4 ms to compile. A bracket alone can take as long."""


def quick(names: int, source: Source) -> bool:
    """Whether the source's filters may be held against so many names on the loop."""
    patterns = source.allow + source.ignore
    short = sum(map(len, patterns)) <= _LONG and not any("[" in pattern for pattern in patterns)
    return short and names * (1 + len(patterns)) <= _MANY


class Filters:
    """A source's, for one question: compiled once, and gone with it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._selects: Callable[[str], bool] | None = None

    async def leave(self, found: Sequence[T], name: Callable[[T], str]) -> list[T]:
        """Those that the filters leave.

        :param name: of one, as the downloader holds it against the patterns
        """

        def select() -> list[T]:
            if self._selects is None:
                self._selects = self._source.selector()
            return [one for one in found if self._selects(name(one))]

        return select() if quick(len(found), self._source) else await asyncio.to_thread(select)
