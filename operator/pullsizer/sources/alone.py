"""Large answers are held one at a time; small ones side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

WhenLarge: TypeAlias = Callable[[], Awaitable[None]]
"""As `Client.ask` wants it."""


class Alone:
    """Room for one question with large answers."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def question(self) -> AsyncIterator[WhenLarge]:
        """What to await before an answer grows large: from then on, and until the question ends, no other one does."""
        held = False

        async def when_large() -> None:
            nonlocal held
            if not held:
                await self._lock.acquire()
                held = True

        try:
            yield when_large
        finally:
            if held:
                self._lock.release()
