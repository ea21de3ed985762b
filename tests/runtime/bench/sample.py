"""What asking for a while found: plain values, and the arithmetic on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Cell:
    """One way of asking.

    :param clients: that each ask again as soon as they have their answer
    :param texts: in a request
    """

    name: str
    clients: int
    texts: int

    @property
    def probed(self) -> bool:
        """Whether health is asked meanwhile: it is of interest under load, and one client's rate it would change."""
        return self.clients > 1


CELLS = {
    cell.name: cell
    for cell in (Cell("c1", 1, 1), Cell("c16", 16, 1), Cell("c64", 64, 1), Cell("b32c1", 1, 32), Cell("b32c4", 4, 32))
}


class Span(NamedTuple):
    """A request that was answered well, by the client's clock."""

    asked: float
    answered: float
    texts: int

    @property
    def seconds(self) -> float:
        return self.answered - self.asked


@dataclass
class Heard:
    """What clients heard.

    :param errors: what was no answer, by what it was
    :param wrong: texts that got another class than the reference gives, near ties left out
    :param health: seconds of each probe
    """

    spans: list[Span] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    health: list[float] = field(default_factory=list)


def rate(spans: Sequence[Span], begin: float, end: float) -> float:
    """Texts a second between two times.

    A request counts by the share of it that lies between them: counting whole ones would round by one request of a
    dozen, where each has 32 texts.
    """
    credit = sum(
        span.texts * max(0.0, min(end, span.answered) - max(begin, span.asked)) / span.seconds
        for span in spans
        if span.seconds > 0
    )
    return credit / (end - begin)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many are not above; NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def in_turns(names: Sequence[str], number: int) -> list[str]:
    """The order of a round: each begins with the next one, so that nobody always follows the same."""
    start = number % len(names) if names else 0
    return [*names[start:], *names[:start]]
