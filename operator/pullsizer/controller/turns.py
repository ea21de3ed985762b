"""Whose turn it is. The more urgent come first; among equals tenants take turns, however much each has to ask."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Container, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

L = TypeVar("L", bound=Hashable)
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class Turn(Generic[L, T]):
    """Something whose turn has come.

    :param tenant: whose turn it was
    """

    item: T
    lane: L
    urgency: int
    tenant: str


class Turns(Generic[L, T]):
    """Things that wait, each in one lane. A lane may be closed for a while: its things wait, those of others go on.

    What several tenants wait for stands in the line of each, and goes with the first of them that has a turn.
    """

    def __init__(self) -> None:
        self._lanes: OrderedDict[L, dict[int, OrderedDict[str, deque[T]]]] = OrderedDict()
        """By lane and urgency the tenants, who is next first, and the line of each."""
        self._places: dict[T, tuple[L, int]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, item: T) -> bool:
        return item in self._places

    def lanes(self) -> Iterator[L]:
        """In which something may wait."""
        return iter(self._lanes)

    def put(self, item: T, lane: L, urgency: int, tenants: Collection[str], *, first: bool = False) -> None:
        """At the end of each tenant's line, which is FIFO; or at the head, having had a turn in vain."""
        self._places[item] = lane, urgency
        for tenant in tenants:
            line = self._lanes.setdefault(lane, {}).setdefault(urgency, OrderedDict()).setdefault(tenant, deque())
            (line.appendleft if first else line.append)(item)

    def join(self, item: T, tenant: str) -> None:
        """Another tenant waits for it, too, if it waits at all."""
        if item in self._places:
            self.put(item, *self._places[item], (tenant,))

    def pop(self, closed: Container[L], free: Callable[[str], bool]) -> Turn[L, T] | None:
        """What is next, which waits no longer; None where nothing may go.

        :param closed: lanes
        :param free: whether a tenant may have a turn
        """
        best: tuple[int, L, str] | None = None
        for lane in list(self._lanes):
            if lane not in closed and (found := self._next(lane, free)) and (best is None or found[0] < best[0]):
                best = (found[0], lane, found[1])
        if best is None:
            return None
        urgency, lane, tenant = best
        tenants = self._lanes[lane][urgency]
        item = tenants[tenant].popleft()
        tenants.move_to_end(tenant)
        self._lanes.move_to_end(lane)
        del self._places[item]
        return Turn(item, lane, urgency, tenant)

    def _next(self, lane: L, free: Callable[[str], bool]) -> tuple[int, str] | None:
        lines = self._lanes[lane]
        for urgency in sorted(lines):
            for tenant, line in list(lines[urgency].items()):
                while line and self._places.get(line[0]) != (lane, urgency):
                    line.popleft()  # it went with another tenant
                if not line:
                    del lines[urgency][tenant]
                elif free(tenant):
                    return urgency, tenant
            if not lines[urgency]:
                del lines[urgency]
        if not lines:
            del self._lanes[lane]
        return None
