"""Which backend is fastest here: the same work for each, in a process of its own, so that none disturbs another."""

from __future__ import annotations

import logging
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from classifier_runtime.backends.base import Backend
from classifier_runtime.core.job import Item
from classifier_runtime.errors import ClassifierError
from classifier_runtime.families import PACKABLE
from classifier_runtime.model import ModelSpec

log = logging.getLogger(__name__)

# OpenVINO starts in a tenth of torch's time and in a third of its memory: a rival must be worth that.
MARGIN: Final = 0.15
# As texts are: the parameters of a log-normal that was fitted to reviews (mean 38 tokens, most below 128).
MU, SIGMA, TEXTS = 3.47, 0.68, 32
BUDGET: Final = 512
ROUNDS: Final = 3


def timings(spec: ModelSpec, exported: Path, threads: int | None) -> dict[str, float]:
    """Seconds of each backend; one that fails is not in it."""
    rival = "torch-packed" if spec.model_type in PACKABLE and spec.task != "image-classification" else "torch-padded"
    found = {}
    for name in ("openvino", rival):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as child:
            try:
                found[name] = child.submit(_measure, name, spec, exported, threads).result()
            except (ClassifierError, OSError, RuntimeError) as error:
                log.warning("%s cannot be timed: %s", name, error)
    return found


def fastest(seconds: Mapping[str, float]) -> str:
    """OpenVINO, unless another needs `MARGIN` less."""
    base = seconds.get("openvino")
    if base is None:
        return "openvino"
    best = min(seconds, key=seconds.__getitem__)
    return best if seconds[best] < base * (1 - MARGIN) else "openvino"


def _measure(name: str, spec: ModelSpec, exported: Path, threads: int | None) -> float:
    """One text at a time, and in batches sorted by length: the median of some rounds, after one that is not counted."""
    from classifier_runtime.backends.openvino_convert import sample  # noqa: PLC0415 - imports torch

    backend = _load(name, spec, exported, threads)
    lengths = np.random.default_rng(7).lognormal(MU, SIGMA, TEXTS).astype(int)
    items = sample(spec, [int(count) for count in np.clip(lengths, 1, spec.max_tokens or 1)])
    batches = [*([item] for item in items), *_batches(sorted(items, key=lambda item: item.tokens), backend.cost)]
    taken = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        for batch in batches:
            backend.forward(batch)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def _load(name: str, spec: ModelSpec, exported: Path, threads: int | None) -> Backend:
    if name == "openvino":
        from classifier_runtime.backends.openvino import OpenVino  # noqa: PLC0415 - only one of them in a process

        return OpenVino(spec, exported, threads=threads)
    from classifier_runtime.backends.torch_packed import TorchPacked  # noqa: PLC0415
    from classifier_runtime.backends.torch_padded import TorchPadded  # noqa: PLC0415

    return (TorchPacked if name == "torch-packed" else TorchPadded)(spec, threads=threads)


def _batches(items: Sequence[Item], cost: Callable[[int, int, int], int]) -> list[list[Item]]:
    """As the engine fills them, near enough: up to the budget, by length."""
    made: list[list[Item]] = [[]]
    for item in items:
        filled = [*made[-1], item]
        if len(filled) > 1 and cost(len(filled), item.tokens, sum(one.tokens for one in filled)) > BUDGET:
            made.append([item])
        else:
            made[-1] = filled
    return made
