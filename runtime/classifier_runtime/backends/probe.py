"""Which backend is fastest here: the same work for each, in turns, in a process that ends with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from classifier_runtime.backends import budget, child
from classifier_runtime.backends.base import Backend
from classifier_runtime.core.batching import Cost, Turns
from classifier_runtime.core.job import Item
from classifier_runtime.errors import ClassifierError
from classifier_runtime.families import PACKABLE
from classifier_runtime.model import ModelSpec

log = logging.getLogger(__name__)

# OpenVINO starts in a tenth of torch's time and in a third of its memory: a rival must be worth that.
MARGIN: Final = 0.15
# As texts are: the parameters of a log-normal that was fitted to reviews (mean 38 tokens, most below 128).
MU, SIGMA, TEXTS = 3.47, 0.68, 32
ROUNDS: Final = 5


def timings(spec: ModelSpec, exported: Path, threads: int | None) -> dict[str, float]:
    """Seconds of each backend; one that fails is not in it."""
    rival = "torch-packed" if spec.model_type in PACKABLE and spec.task != "image-classification" else "torch-padded"
    try:
        found: dict[str, float] = child.run(_measure, ("openvino", rival), spec, exported, threads)
    except (ClassifierError, OSError, RuntimeError) as error:
        log.warning("backends cannot be timed: %s", error)
        return {}
    log.info("seconds by backend: %s", ", ".join(f"{name} {taken:.3f}" for name, taken in found.items()))
    return found


def fastest(seconds: Mapping[str, float]) -> str:
    """OpenVINO, unless another needs `MARGIN` less."""
    base = seconds.get("openvino")
    if base is None:
        return "openvino"
    best = min(seconds, key=seconds.__getitem__)
    return best if seconds[best] < base * (1 - MARGIN) else "openvino"


def _measure(names: Sequence[str], spec: ModelSpec, exported: Path, threads: int | None) -> dict[str, float]:
    """Each text alone, as an idle server computes it, and all of them as they come together when it is busy. Alone they
    take longer, so that counts for more.

    The backends take turns and the best round of each counts: what else the machine does slows them all, and makes no
    round shorter.
    """
    from classifier_runtime.backends.openvino_convert import sample  # noqa: PLC0415 - imports torch

    lengths = np.random.default_rng(7).lognormal(MU, SIGMA, TEXTS).astype(int)
    items = sample(spec, [int(count) for count in np.clip(lengths, 1, spec.max_tokens or 1)])
    loaded = {}
    for name in names:
        try:
            loaded[name] = _load(name, spec, exported, threads)
        except ClassifierError as error:
            log.warning("%s cannot be timed: %s", name, error)
    rounds: dict[str, list[float]] = {name: [] for name in loaded}
    for _ in range(ROUNDS + 1):
        for name, backend in loaded.items():
            began = time.perf_counter()
            for batch in (*([item] for item in items), *_batches(items, backend.cost)):
                backend.forward(batch)
            rounds[name].append(time.perf_counter() - began)
    # The first is not counted.
    return {name: min(taken[1:]) for name, taken in rounds.items()}


def _load(name: str, spec: ModelSpec, exported: Path, threads: int | None) -> Backend:
    if name == "openvino":
        from classifier_runtime.backends.openvino import OpenVino  # noqa: PLC0415 - where there are exports

        return OpenVino(spec, exported, threads=threads)
    from classifier_runtime.backends.torch_packed import TorchPacked  # noqa: PLC0415
    from classifier_runtime.backends.torch_padded import TorchPadded  # noqa: PLC0415

    return (TorchPacked if name == "torch-packed" else TorchPadded)(spec, threads=threads)


def _batches(items: Sequence[Item], cost: Cost) -> Iterator[list[Item]]:
    """The engine's own, of requests that wait with an item each."""
    turns: Turns[Item] = Turns()
    for item in items:
        turns.add(item, [item.tokens])
    while taken := turns.take(budget.CPU, cost):
        yield [waiting.request for waiting in taken]
