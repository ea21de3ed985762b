"""How many requests a Hub may be sent in five minutes, so spread that whoever comes next is never far from a turn.

A Hub counts over windows whose beginning only it knows. So what is promised holds for any five minutes, wherever they
begin: no more than the limit. Half of it may go at once, for services that are applied together, and each of that half
comes back five minutes after it was used. The other half is given out one at a time, evenly: so the next permission is
never further away than 1.2 s at the default of 500, whatever was asked before, and all of the limit can be used.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

WINDOW: Final = 300.0
"""Seconds over which the Hub counts: https://huggingface.co/docs/hub/rate-limits."""


class Budget:
    """Permissions to send one request each, of which the limit counts those that were sent.

    A question may take another request than the one that was permitted: where the Hub redirects, or a model changed
    that was only looked after. That is not held back, but counted: what comes later waits for it.

    :param clock: seconds, never backwards
    """

    def __init__(self, limit: int, *, window: float = WINDOW, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._window = window
        self._clock = clock
        self._all = _Used(window)
        self._at_once = _Used(window)
        """Of the half that may go at once."""
        self._even = -math.inf
        """When the half that is spread gives its next."""

    @property
    def left(self) -> int:
        """Of the limit, now."""
        return max(0, self.limit - self._all.count(self._clock()))

    @property
    def idle(self) -> bool:
        """Whether one that begins anew would be the same."""
        return not self._all.count(self._clock())

    def wait(self) -> float:
        """Seconds until there may be a permission: 0 for now; infinite until one that was given is used or returned."""
        now = self._clock()
        return max(
            self._all.room_in(self.limit, now),
            min(self._at_once.room_in(self.limit // 2, now), max(0.0, self._even - now)),
        )

    def take(self) -> Permission:
        """One, where `wait` says that there is one."""
        now, half = self._clock(), self.limit // 2
        places = [self._all]
        if self._at_once.room_in(half, now):
            self._even = now + self._window / (self.limit - half)
        else:
            places.append(self._at_once)
        for place in places:
            place.promised += 1
        return Permission(places, [self._all], self._clock)


class _Used:
    """What is used of a number that comes back when a window has passed: sent, or promised to be."""

    def __init__(self, window: float) -> None:
        self.promised = 0
        self.sent: deque[float] = deque()
        self._window = window

    def count(self, now: float) -> int:
        while self.sent and self.sent[0] <= now - self._window:
            self.sent.popleft()
        return len(self.sent) + self.promised

    def room_in(self, most: int, now: float) -> float:
        """Seconds until less than so many are used, should no promise be returned before."""
        over = self.count(now) - most
        if over < 0:
            return 0.0
        # Not below what `count` takes for over: of two floats close to each other it must be the same one.
        return max(self.sent[over] + self._window - now, 1e-6) if over < len(self.sent) else math.inf


class Permission:
    """To send one request."""

    def __init__(self, promised: list[_Used], further: list[_Used], clock: Callable[[], float]) -> None:
        self._promised = promised
        self._further = further
        """Where requests beyond the first are counted."""
        self._clock = clock

    def sent(self) -> None:
        """A request was sent just now."""
        for place in self._promised or self._further:
            place.sent.append(self._clock())
        self.close()

    def close(self) -> None:
        """No request, or no further one, is going to be sent."""
        for place in self._promised:
            place.promised -= 1
        self._promised = []


FREE: Final = Permission([], [], time.monotonic)
"""For what no limit counts."""
