"""Training in small batches: rows of like length together, how fast is learnt, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.models.store import say


def by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """The places of all rows in batches of this size, rows of like length together."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[first : first + size] for first in range(0, len(order), size)]


def padded(rows: Sequence[Sequence[int]], filler: int) -> list[list[int]]:
    """All as long as the longest."""
    width = max(map(len, rows))
    return [[*row, *[filler] * (width - len(row))] for row in rows]


def rate(step: int, steps: int, peak: float, warm_up: int) -> float:
    """Up to the peak in `warm_up` steps and from there on down to nothing, both in a straight line."""
    return peak * min(1.0, (step + 1) / warm_up) * (1 - step / steps)


def told(steps: int) -> Iterator[int]:
    """The numbers of the steps; each tenth of them is told to who waits."""
    for step in range(steps):
        if step and step * 10 // steps > (step - 1) * 10 // steps:
            say(f"{step * 10 // steps}0 % trained")
        yield step
