"""The downloader's filters, held against many names without holding up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from pullsizer.model import Source

T = TypeVar("T")

_MANY: Final = 10_000
"""Names times patterns: some 10 ms, which is too long for the loop."""


async def selected(found: Sequence[T], name: Callable[[T], str], source: Source) -> list[T]:
    """Those that the source's filters leave.

    :param name: of one, as the downloader holds it against the patterns
    """

    def select() -> list[T]:
        return [one for one in found if source.selects(name(one))]

    if len(found) * (len(source.allow) + len(source.ignore)) <= _MANY:
        return select()
    return await asyncio.to_thread(select)
