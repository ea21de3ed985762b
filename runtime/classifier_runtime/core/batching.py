"""Which items are computed together, and in which order. Pure: no thread, no clock.

A batch costs its longest item times its number of items, so items of one length belong together. But whoever waits
longest must not wait for others of its length. So each batch is made around the item whose turn it is, from those of
the next ones that fit it best; and turns go round between requests, not through one to its end: a request with one text
does not wait for one with a thousand that came before it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeAlias, TypeVar

R = TypeVar("R")
Cost: TypeAlias = Callable[[int, int, int], int]
"""What a batch costs, of how many items, the longest's tokens and all items' tokens: `Backend.cost`."""

_WINDOW: Final = 8
"""Batches' worth of tokens that are looked at for items of one length."""
_WINDOW_ITEMS: Final = 256
"""And items, where they are short: choosing among them takes some 0.1 ms."""


@dataclass(order=True, slots=True)
class Waiting(Generic[R]):
    """An item that waits for its turn.

    :param turn: lower ones come first
    :param number: of equal turns the one that came first
    :param tokens: what it costs
    :param request: whose it is
    :param place: in the request
    """

    turn: float
    number: int
    tokens: int = field(compare=False)
    request: R = field(compare=False)
    place: int = field(compare=False)


class Turns(Generic[R]):
    """All that waits.

    Turns are those of start-time fair queueing: a request's n-th item comes n turns after the one that was served when
    it arrived.
    """

    def __init__(self) -> None:
        self._waiting: list[Waiting[R]] = []
        self._now = 0.0
        self._number = 0
        self.tokens = 0
        """Of all that waits."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: R, tokens: Iterable[int]) -> None:
        """The items of a request, each with its cost."""
        for place, cost in enumerate(tokens):
            self._number += 1
            insort(self._waiting, Waiting(self._now + place, self._number, cost, request, place))
            self.tokens += cost

    def drop(self, unwanted: Callable[[R], bool]) -> None:
        """Forget the items of requests for which nobody waits any more."""
        self._waiting = [item for item in self._waiting if not unwanted(item.request)]
        self.tokens = sum(item.tokens for item in self._waiting)

    def take(self, budget: int, cost: Cost) -> list[Waiting[R]]:
        """The next batch; empty where nothing waits.

        It has the item whose turn it is, and costs no more than the budget unless that item alone does.
        """
        if not self._waiting:
            return []
        window = self._window(budget)
        first = self._waiting[0]
        by_length = sorted(window, key=lambda item: item.tokens)
        chosen = _around(by_length, by_length.index(first), budget, cost)
        # A turn is over when each request that waits had an item computed. Were it only over when nothing waits for it
        # any more, single texts that keep coming would have it last for ever, and later turns would never come.
        requests = {id(item.request) for item in window}
        self._now = max(self._now, first.turn) + len(chosen) / len(requests)
        taken = {id(item) for item in chosen}
        self._waiting[: len(window)] = [item for item in window if id(item) not in taken]
        self.tokens -= sum(item.tokens for item in chosen)
        return chosen

    def _window(self, budget: int) -> list[Waiting[R]]:
        tokens, end = 0, 0
        for item in self._waiting[:_WINDOW_ITEMS]:
            tokens += item.tokens
            end += 1
            if tokens >= _WINDOW * budget:
                break
        return self._waiting[:end]


def _around(items: Sequence[Waiting[R]], at: int, budget: int, cost: Cost) -> list[Waiting[R]]:
    """A run of items, sorted by length, that has the one at a place and is within the budget: grown on that side on
    which it wastes less.
    """
    low, high, tokens, longest = at, at + 1, items[at].tokens, items[at].tokens
    while True:
        count = high - low
        shorter = items[low - 1].tokens if low > 0 else None
        longer = items[high].tokens if high < len(items) else None
        down = shorter is not None and cost(count + 1, longest, tokens + shorter) <= budget
        up = longer is not None and cost(count + 1, longer, tokens + longer) <= budget
        # A shorter one is padded; a longer one pads all others.
        if up and longer is not None and (not down or (longer - longest) * count < longest - (shorter or 0)):
            tokens, longest, high = tokens + longer, longer, high + 1
        elif down and shorter is not None:
            tokens, low = tokens + shorter, low - 1
        else:
            return list(items[low:high])
