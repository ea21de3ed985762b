"""Counters and histograms of one thread, the event loop's: they take no lock, which is most of what others' take.

A request is counted in some ten places. With `prometheus_client`'s own metrics that was a fifth of the time of a V1
request with a model that does nothing (`tests/runtime/bench/null.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class Counts(Collector):
    """A counter.

    :param labels: their names
    """

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        self._name, self._about, self._labels = name, about, labels
        self._values: dict[tuple[str, ...], int] = {} if labels else {(): 0}
        REGISTRY.register(self)

    def add(self, count: int = 1, labels: tuple[str, ...] = ()) -> None:
        self._values[labels] = self._values.get(labels, 0) + count

    def clear(self) -> None:
        self._values.clear()

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family


class Spread(Collector):
    """A histogram, without labels or with one.

    :param bounds: of its buckets, in order; what is above them all is counted, too
    """

    def __init__(self, name: str, about: str, bounds: Sequence[float], label: str | None = None) -> None:
        self._name, self._about, self._bounds = name, about, bounds
        self._labels = () if label is None else (label,)
        self._buckets: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        if label is None:
            self._start("")
        REGISTRY.register(self)

    def _start(self, label: str) -> list[int]:
        self._sums[label] = 0.0
        self._buckets[label] = buckets = [0] * (len(self._bounds) + 1)
        return buckets

    def observe(self, value: float, label: str = "") -> None:
        buckets = self._buckets.get(label) or self._start(label)
        buckets[bisect_left(self._bounds, value)] += 1
        self._sums[label] += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        names = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for label, buckets in self._buckets.items():
            totals = list(zip(names, accumulate(buckets), strict=True))
            family.add_metric((label,) if self._labels else (), totals, self._sums[label])
        yield family
