"""The downloader's filters, held against many names without holding up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from pullsizer.model import Source
from pullsizer.sources.tally import Item, Tally

_MANY: Final = 10_000
"""Names times patterns: some 10 ms, which is too long for the loop."""


async def add_selected(tally: Tally, items: Sequence[Item], source: Source) -> None:
    """Adds those that the source's filters leave."""
    if len(items) * (len(source.allow) + len(source.ignore)) <= _MANY:
        tally.add_all(items, source.selects)
    else:
        await asyncio.to_thread(partial(tally.add_all, items, source.selects))
