"""What is aimed at, and whether it was met. On two cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.runtime.bench.figures import KSERVE, Figures, middle

MINILM: Final = "minilm"
BERT: Final = "bert"


@dataclass(frozen=True)
class Aim:
    """One figure and its bound.

    :param value: None where the run did not measure it
    :param most: whether the bound is the most that it may be
    """

    title: str
    bound: float
    value: Callable[[Figures], float | None]
    most: bool = False
    unit: str = "x"

    def met(self, value: float) -> bool:
        return value <= self.bound if self.most else value >= self.bound

    def told(self, figures: Figures) -> str:
        value = self.value(figures)
        sign = "at most" if self.most else "at least"
        head = f"{self.title:58} {sign:8} {self.bound:6g} {self.unit:6}"
        if value is None:
            return f"{head} not measured"
        return f"{head} {value:8.3g}  {'met' if self.met(value) else 'MISSED'}"


def _ratio(model: str, cell: str, *, exact: bool, over_best: bool = False) -> Callable[[Figures], float | None]:
    def value(figures: Figures) -> float | None:
        target = figures.exact(model, cell) if exact else figures.lossy(model, cell)
        base = figures.best_peer(model, cell) if over_best else KSERVE
        if target is None or base is None:
            return None
        return middle(figures.ratios(model, cell, target, base))

    return value


def _share(*, exact: bool) -> Callable[[Figures], float | None]:
    def value(figures: Figures) -> float | None:
        target = figures.exact(MINILM, "c64") if exact else figures.lossy(MINILM, "c64")
        return None if target is None else middle(figures.shares(MINILM, "c64", target))

    return value


def _loss(figures: Figures) -> float | None:
    """Points of accuracy that int8 loses."""
    exact, lossy = figures.exact(MINILM, "c64"), figures.lossy(MINILM, "c64")
    before = figures.accuracy(exact or "")
    after = figures.accuracy(lossy or "")
    return None if before is None or after is None else 100 * (before - after)


def _health(figures: Figures) -> float | None:
    """The worst of ours."""
    found = [
        figures.milliseconds(MINILM, "c64", name, "health_ms", 0.99)
        for name in figures.names(MINILM, "c64")
        if name in figures.ours
    ]
    return max(found, default=None)


def _ready(figures: Figures) -> float | None:
    """Of those that start from an export."""
    found = [one["ready_s"] for one in figures.of("started", model=MINILM) if one["target"].startswith("openvino")]
    return max(found, default=None)


def _lost(figures: Figures) -> float | None:
    """Only where some were refused: what was not more than it could do shows nothing."""
    found = [one for one in figures.of("overload") if one["refused"]]
    return float(sum(one["lost"] for one in found)) if found else None


def _null(figures: Figures) -> float | None:
    found = figures.of("null")
    return found[0]["ratio"] if found else None


def _growth(figures: Figures) -> float | None:
    found = figures.of("soak")
    return found[0]["growth"] if found else None


AIMS: Final[Sequence[Aim]] = (
    Aim("MiniLM, 64 clients, fp32, over KServe", 2.6, _ratio(MINILM, "c64", exact=True)),
    Aim("MiniLM, 64 clients, fp32, over the best peer", 1.5, _ratio(MINILM, "c64", exact=True, over_best=True)),
    Aim("MiniLM, 64 clients, int8, over KServe", 5.5, _ratio(MINILM, "c64", exact=False)),
    Aim("MiniLM, 64 clients, int8, over the best peer", 3.3, _ratio(MINILM, "c64", exact=False, over_best=True)),
    Aim("int8, loss of accuracy on held-out sentences", 0.5, _loss, most=True, unit="points"),
    Aim("MiniLM, one client, fp32, over KServe", 1.9, _ratio(MINILM, "c1", exact=True)),
    Aim("BERT-base, 16 clients, fp32, over KServe", 1.8, _ratio(BERT, "c16", exact=True)),
    Aim("BERT-base, 16 clients, int8, over KServe", 4.0, _ratio(BERT, "c16", exact=False)),
    Aim("MiniLM, 64 clients, fp32, of the engine alone", 0.85, _share(exact=True)),
    Aim("MiniLM, 64 clients, int8, of the engine alone", 0.75, _share(exact=False)),
    Aim("HTTP with a model that does nothing, over KServe", 4.0, _null),
    Aim("Health, p99 with 64 clients", 25.0, _health, most=True, unit="ms"),
    Aim("Ready, from an export", 3.0, _ready, most=True, unit="s"),
    Aim("Requests lost at 4 times what it can do", 0.0, _lost, most=True, unit=""),
    Aim("Memory over 100,000 mixed requests, its last growth", 0.02, _growth, most=True, unit=""),
)
