"""One pod's way through admission: decide by what is known, wait where that may become more, count, remember."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final, get_args

from pullsizer.admission import metrics
from pullsizer.admission.caches import Caches
from pullsizer.admission.deciding import Outcome, Question, Verdict, decide_pod, is_known
from pullsizer.admission.patch import Operation
from pullsizer.admission.remembered import Answer, Remembered, pod_of
from pullsizer.admission.review import Request
from pullsizer.admission.waiting import Waiters
from pullsizer.names import SIZING

_log = logging.getLogger(__name__)
_SIZED_OF: Final = {basis: metrics.SIZED_BY.labels(basis) for basis in ("annotation", "tier", "model", "default")}
_OUTCOME: Final = {name: metrics.PODS.labels(name) for name in (*get_args(Outcome), "failed_open")}


class Mutator:
    """Answers for pods, from the caches."""

    def __init__(self, caches: Caches, waiters: Waiters) -> None:
        self._caches = caches
        self._waiters = waiters
        self._remembered = Remembered(caches)
        caches.on_knowledge.append(waiters.notify)

    async def operations(self, request: Request) -> Sequence[Operation]:
        """The patch for the pod of a request; empty where it is to stay as it is."""
        pod = pod_of(request)
        answer = self._remembered.get(pod)
        if answer is None:
            answer = await self._answer(request)
            if answer.lasting:
                self._remembered.put(pod, answer)
        for counter in answer.counts:
            counter.inc()
        return answer.for_pod(pod)

    async def _answer(self, request: Request) -> Answer:
        verdict = decide_pod(request.object, request.namespace, self._caches)
        if verdict.unknown is not None and self._may_wait(request):
            await self._wait(verdict.unknown)
            # By all that is in force now: the policy may have changed as well.
            verdict = decide_pod(request.object, request.namespace, self._caches)
        if verdict.unsafe is not None:
            _log.error("patch not sent", extra={"namespace": request.namespace}, exc_info=verdict.unsafe)
        return _answer(verdict)

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _may_wait(self, request: Request) -> bool:
        metadata = request.object.get("metadata") or {}
        return (
            not request.dry_run
            and self._caches.policy.wait_for_size > 0
            and SIZING not in (metadata.get("annotations") or {})  # the second call, after ours
            and self._caches.controller_alive()
            and not self._waiters.breaker(request.namespace).open
        )

    async def _wait(self, question: Question) -> None:
        begin = time.perf_counter()
        with metrics.WAITING.track_inprogress():
            answered = await self._waiters.until(
                question.namespace,
                lambda: is_known(question, self._caches),
                self._caches.policy.wait_for_size,
            )
        metrics.WAIT_SECONDS.labels("yes" if answered else "no").observe(time.perf_counter() - begin)
        metrics.BREAKER_OPEN.set(self._waiters.open)


def _answer(verdict: Verdict) -> Answer:
    """The answer, and all that it counts as. One that might have been better known is not kept."""
    decisions = (sizing.decision for sizing in verdict.sizings if sizing.decision is not None)
    counts = (
        *[metrics.INVALID_ANNOTATIONS] * len(verdict.problems),
        *(_SIZED_OF[decision.basis] for decision in decisions),
        _OUTCOME[verdict.outcome],
    )
    return Answer(verdict.operations, counts, lasting=verdict.unknown is None)


def failed_open() -> None:
    """Count a pod that was created as it was, since we could not decide."""
    _OUTCOME["failed_open"].inc()
