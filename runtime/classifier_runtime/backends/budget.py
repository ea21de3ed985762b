"""How many tokens one computation may have: as many as the device is faster by, and no more than its memory holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from classifier_runtime.backends.layouts import GRID
from classifier_runtime.errors import OutOfMemory

# On CPU larger batches are slower: measured from 256 to 4,096 tokens with BERT-base, 512 was the fastest.
CPU: Final = 512
# A batch twice as large that is not faster by so much makes its texts wait for nothing.
GAIN: Final = 1.05
# Of free memory, for batches. The rest is for requests and what libraries keep for later.
SHARE: Final = 0.5
# Bytes of a float32, in which a CPU computes.
FLOAT: Final = 4


def fastest(seconds: Callable[[int], float], *, least: int, start: int, most: int) -> int:
    """The largest budget of those that were tried, doubled from `start`, that fits and is worth it.

    :param seconds: that a batch of so many tokens takes; raises OutOfMemory where it does not fit
    :param least: one item: what does not fit then never will
    :raises OutOfMemory: of `least`
    """
    budget = max(start, least)
    while True:
        try:
            rate = budget / seconds(budget)
            break
        except OutOfMemory:
            if budget == least:
                raise
            most = budget = max(budget // 2, least)
    while budget * 2 <= most:
        try:
            doubled = budget * 2 / seconds(budget * 2)
        except OutOfMemory:
            break
        if doubled < rate * GAIN:
            break
        budget, rate = budget * 2, doubled
    return budget


def held(config: Mapping[str, Any], longest: int, free: int | None) -> int | None:
    """Tokens whose computation a CPU's free memory holds; None where nothing says.

    Of a token are kept at once, in one layer: what comes in and goes out of attention and its norms, 8 times the hidden
    size; what the feed-forward layer makes of it, before and after its activation; and of each place of attention's
    grid that it may have, what goes in and out and, where attention is not fused, its scores to every other token.
    Measured with MiniLM in even lengths, of which it is fused: 24 KiB by OpenVINO and by torch, as computed without the
    grid.

    :param config: the model's config.json
    """
    hidden = _first(config, "hidden_size", "dim", "d_model", "n_embd")
    if free is None or hidden is None:
        return None
    inner = _first(config, "intermediate_size", "hidden_dim", "encoder_ffn_dim", "n_inner") or 4 * hidden
    heads = _first(config, "num_attention_heads", "n_heads", "encoder_attention_heads", "n_head") or 1
    token = FLOAT * (8 * hidden + 2 * inner + GRID * (4 * hidden + heads * longest))
    return max(1, int(free * SHARE) // token)


def _first(config: Mapping[str, Any], *names: str) -> int | None:
    """Families call the same thing by different names."""
    return next((config[name] for name in names if isinstance(config.get(name), int)), None)
