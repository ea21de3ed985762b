"""What every task can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from classifier_runtime.core.job import Floats, Instance, Item, Outcome, always

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Encoded(Generic[K]):
    """Instances as a backend takes them.

    :param items: one for each instance, or several (zero-shot: one for each candidate; windows of a long text)
    :param kept: what the task needs to know again when the logits are there
    :param truncated: how many texts were cut
    """

    items: Sequence[Item]
    kept: K
    truncated: int = 0


class Task(Protocol[K]):
    """One way of classifying. Encoding and decoding take time, are pure, and run in threads beside the event loop."""

    @property
    def name(self) -> str:
        """As Hugging Face calls it: `text-classification`, `token-classification`, …"""
        ...

    def check(self, instance: Instance) -> None:
        """:raises InvalidRequest: an option, or a kind of input, that means nothing to this task"""
        ...

    def encode(self, instances: Sequence[Instance], go_on: Callable[[], None] = always) -> Encoded[K]:
        """Of many instances, a few at a time.

        :param go_on: asked before each part; raises where nobody waits any more
        :raises InvalidRequest: an instance that cannot be encoded, by its place
        """
        ...

    def decode(self, instances: Sequence[Instance], encoded: Encoded[K], logits: Sequence[Floats]) -> Sequence[Outcome]:
        """One outcome for each instance.

        :param logits: of each of the items, in their order
        :raises ModelFailed: logits that are not numbers
        """
        ...
