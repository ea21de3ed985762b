"""What every backend can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from classifier_runtime.core.job import Floats, Item


class Backend(Protocol):
    """A loaded model. Used by one thread at a time, which is not always the one that loaded it."""

    @property
    def name(self) -> str:
        """For logs, metrics and metadata: `torch-packed`, `openvino`, …"""
        ...

    @property
    def device(self) -> str:
        """`cpu`, `cuda:0`, …"""
        ...

    @property
    def classes(self) -> int:
        """C, the number of logits of an item, or of each of its tokens."""
        ...

    def forward(self, items: Sequence[Item]) -> Sequence[Floats]:
        """Logits of a batch: [C] of each item, or [tokens, C] where the model classifies tokens.

        Float32 on the host, contiguous, without padding; whatever the model's own dtype is.

        :raises ModelFailed: an error of the device; `OutOfMemory` where a smaller batch may work
        """
        ...

    def cost(self, items: int, longest: int, tokens: int) -> int:
        """Tokens that a batch costs, padding and all.

        :param items: in the batch
        :param longest: tokens of the longest of them
        :param tokens: of all of them
        """
        ...
