"""The bounded wait of a new service's first pod for the size of its model.

The controller learns of a service milliseconds before its first pod is admitted; measuring takes a few hundred more. So
the pod waits, on an event in memory, and a breaker sees to it that a source that does not answer costs that only a few
times.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

OPEN_AFTER: Final = 3
"""Time-outs in a row that open the breaker."""
OPEN_SECONDS: Final = 30.0
"""After so long pods may wait again, until the next time-out: in twice the Lease's duration a new controller has taken
over."""
_MOST_NAMESPACES: Final = 4096


class Breaker:
    """Opens after time-outs in a row, and closes with the next answer that came in time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._retry_at = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= OPEN_AFTER and self._clock() < self._retry_at

    def succeeded(self) -> None:
        self._failures = 0

    def timed_out(self) -> None:
        self._failures += 1
        if self._failures >= OPEN_AFTER:
            self._retry_at = self._clock() + OPEN_SECONDS


class Waiters:
    """Pods that wait for something to become known.

    Each namespace has a breaker of its own: what one tenant's sources fail to answer is no other's loss.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}
        self._changed = asyncio.Event()
        self.waiting = 0

    def breaker(self, namespace: str) -> Breaker:
        found = self._breakers.get(namespace)
        if found is None:
            if len(self._breakers) >= _MOST_NAMESPACES:
                del self._breakers[next(iter(self._breakers))]
            found = self._breakers[namespace] = Breaker(self._clock)
        return found

    @property
    def open(self) -> int:
        """Namespaces in which nobody waits now."""
        return sum(breaker.open for breaker in self._breakers.values())

    def notify(self) -> None:
        """Wake all who wait; each looks whether what it waits for is there."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def until(self, namespace: str, known: Callable[[], bool], seconds: float) -> bool:
        """Whether it became known in time. Comes back at once when the namespace's breaker opens meanwhile."""
        breaker = self.breaker(namespace)
        self.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while not known():
                    if breaker.open:
                        return False
                    await self._changed.wait()
        except TimeoutError:
            breaker.timed_out()
            if breaker.open:
                self.notify()
            return False
        finally:
            self.waiting -= 1
        breaker.succeeded()
        return True
