"""From the raw data to what is told: medians, the best round, and ratios within a round. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from tests.runtime.bench.sample import quantile

Record: TypeAlias = dict[str, Any]

KSERVE: Final = "kserve"


class Figures:
    """Of one run.

    :param records: as they are kept, a line each
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = list(records)
        self.about: Record = next((one for one in self.records if one["kind"] == "run"), {})
        self.ours: set[str] = set(self.about.get("ours", ()))
        self._lossy: set[str] = set(self.about.get("lossy", ()))

    def of(self, kind: str, **wanted: Any) -> list[Record]:
        """The records of a kind that have these values."""
        return [
            one
            for one in self.records
            if one["kind"] == kind and all(one.get(name) == value for name, value in wanted.items())
        ]

    def names(self, model: str, cell: str) -> list[str]:
        """Who answered, the fastest first."""
        found = dict.fromkeys(one["target"] for one in self.of("cell", model=model, cell=cell))
        return sorted(found, key=lambda name: -self.median(model, cell, name))

    def cells(self) -> list[tuple[str, str]]:
        """Models and cells, in the order they were asked."""
        return list(dict.fromkeys((one["model"], one["cell"]) for one in self.of("cell")))

    def rates(self, model: str, cell: str, target: str) -> dict[int, float]:
        """Texts a second, by round."""
        return {one["round"]: one["texts_s"] for one in self.of("cell", model=model, cell=cell, target=target)}

    def median(self, model: str, cell: str, target: str) -> float:
        return statistics.median(self.rates(model, cell, target).values() or [float("nan")])

    def ratios(self, model: str, cell: str, target: str, base: str) -> list[float]:
        """Of one to another within a round: what slows the machine for minutes is in both."""
        return _ratios(self.rates(model, cell, target), self.rates(model, cell, base))

    def shares(self, model: str, cell: str, target: str) -> list[float]:
        """Of what the engine alone does, within a round."""
        alone = {one["round"]: one["texts_s"] for one in self.of("inside", model=model, cell=cell, target=target)}
        return _ratios(self.rates(model, cell, target), alone)

    def best_peer(self, model: str, cell: str) -> str | None:
        """Not ours."""
        return next((name for name in self.names(model, cell) if name not in self.ours), None)

    def exact(self, model: str, cell: str) -> str | None:
        """Of ours in float32 the faster one, as an export would choose."""
        return next((name for name in self.names(model, cell) if name in self.ours and name not in self._lossy), None)

    def lossy(self, model: str, cell: str) -> str | None:
        return next((name for name in self.names(model, cell) if name in self._lossy), None)

    def milliseconds(self, model: str, cell: str, target: str, what: str, share: float) -> float:
        """A quantile over all rounds. `what`: latency_ms or health_ms."""
        found = self.of("cell", model=model, cell=cell, target=target)
        return quantile([value for one in found for value in one[what]], share)

    def mean(self, model: str, cell: str, target: str, what: str) -> float:
        found = [one[what] for one in self.of("cell", model=model, cell=cell, target=target)]
        return statistics.fmean(found) if found else float("nan")

    def total(self, model: str, target: str, what: str) -> int:
        """Of a count, over all cells."""
        return sum(one[what] for one in self.of("cell", model=model, target=target))

    def accuracy(self, target: str) -> float | None:
        found = self.of("accuracy", target=target)
        return found[0]["accuracy"] if found else None


def _ratios(over: dict[int, float], under: dict[int, float]) -> list[float]:
    return [over[number] / under[number] for number in over if under.get(number)]


def middle(values: Sequence[float]) -> float | None:
    """The median; None of none."""
    return statistics.median(values) if values else None
