"""Who may measure now: a number at once, and nobody may take all of them for long.

What a user points us to may answer slowly or never. So a measurement that takes longer than most gives its slot back
and goes on beside the others; and a namespace with many such has to wait for them before it begins more.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

PATIENCE: Final = 1.0
"""Seconds that a measurement may hold a slot: the Hub answers in a third of that."""
SLOW_OF_ONE: Final = 16
"""Slow measurements of one namespace at once."""
SLOW: Final = 256
"""Slow measurements in all, each with a socket or two."""


class Slots:
    """Slots for `count` measurements."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._slow: Counter[str] = Counter()

    async def wait(self) -> None:
        """Returns holding a slot, which `measure` uses."""
        await self._free.acquire()

    def free(self, tenant: str) -> bool:
        """Whether the namespace has not too many slow ones to begin another."""
        return self._slow[tenant] < SLOW_OF_ONE

    @asynccontextmanager
    async def measure(self, tenant: str) -> AsyncGenerator[None, None]:
        """Use the slot that `wait` gave."""
        slow = False

        def give_back() -> None:
            nonlocal slow
            if self._slow.total() < SLOW:
                slow = True
                self._slow[tenant] += 1
                self._free.release()

        timer = asyncio.get_running_loop().call_later(PATIENCE, give_back)
        try:
            yield
        finally:
            timer.cancel()
            if slow:
                self._slow[tenant] -= 1
                if not self._slow[tenant]:
                    del self._slow[tenant]
            else:
                self._free.release()
