"""Answers, kept for pods that are the same: a service's replicas differ in nothing but what is drawn at random.

What an answer depends on is the pod and the caches. So it is found by all of the pod that we read, and forgotten as
soon as a watch changes anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson
from prometheus_client import Counter

from pullsizer.admission.caches import Caches
from pullsizer.admission.patch import Operation, token_volume, with_token_volume
from pullsizer.admission.review import Request

_MOST: Final = 256
"""Replicas come one after another, so few services at a time are enough."""
_LARGEST: Final = 16 << 10
"""Bytes of a pod whose answer is kept. A usual one has 3,000; at worst all of them take 4 MiB."""


@dataclass(frozen=True)
class Answer:
    """What is done to a pod.

    :param counts: what it counts as, each once
    :param lasting: whether the same pod gets the same answer as long as nothing is learned; not where it might wait
    """

    operations: Sequence[Operation]
    counts: tuple[Counter, ...]
    lasting: bool = True

    def for_pod(self, pod: Pod) -> Sequence[Operation]:
        """The operations, with the name of the pod's own volume."""
        return self.operations if pod.token is None else with_token_volume(self.operations, pod.token)


class Pod(NamedTuple):
    """A pod, by all of it that an answer may depend on but the name of its token's volume, which is drawn at random."""

    text: bytes
    token: str | None


def pod_of(request: Request) -> Pod:
    metadata, spec = request.object.get("metadata") or {}, request.object.get("spec") or {}
    text = orjson.dumps((request.namespace, metadata.get("labels"), metadata.get("annotations"), spec))
    token = token_volume(spec)
    if token is not None:
        text = text.replace(orjson.dumps(token), b'"\0"')  # which is no JSON, so nobody can have written it
    return Pod(text, token)


class Remembered:
    """Answers by pod, since the last change of the caches."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._generation = caches.generation
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()

    def get(self, pod: Pod) -> Answer | None:
        """The answer for this very pod, if it was given before and nothing has changed since."""
        return self._current().get(pod.text)

    def put(self, pod: Pod, answer: Answer) -> None:
        if len(pod.text) > _LARGEST:
            return
        answers = self._current()
        if len(answers) >= _MOST:
            answers.popitem(last=False)
        answers[pod.text] = answer

    def _current(self) -> OrderedDict[bytes, Answer]:
        if self._generation != self._caches.generation:
            self._generation = self._caches.generation
            self._answers.clear()
        return self._answers
