"""The asking: when a question's turn comes, who is asked with what, and what becomes of the answer."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from pullsizer.controller.metrics import MEASURE_SECONDS, MEASURE_WAITING, MEASUREMENTS
from pullsizer.controller.questions import Asks, Question, Urgency
from pullsizer.controller.slots import Slots
from pullsizer.errors import MeasureError
from pullsizer.model import Failure
from pullsizer.modelpull import Measurement
from pullsizer.policy import Policy
from pullsizer.sources.access import STRANGER, Access

log = logging.getLogger(__name__)

_CROWDED: Final = 0.5
"""Seconds until a namespace with too many slow measurements is looked at again."""
_FIRST_RETRY: Final = 5.0
_LONGEST_RETRY: Final = 3600.0
_LONGEST_WAIT: Final = 30 * 86400.0
_JITTER: Final = 0.1
"""Of a refresh: what was measured at once need not be asked again at once."""


class Asking:
    """Asks the questions it is given, and asks them again in time.

    :param policy: the one in force
    :param access: what a question is asked with, where a namespace's credential is to be used
    :param answered: called when a question has an answer that is news
    :param unwanted: called when a question is due that nobody waits for; it is not asked
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        measurer: Asks,
        *,
        concurrency: int,
        policy: Callable[[], Policy],
        access: Callable[[Question], Awaitable[Access]],
        answered: Callable[[Question], None],
        unwanted: Callable[[Question], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._measurer = measurer
        self._slots = Slots(concurrency)
        self._policy = policy
        self._access = access
        self._answered = answered
        self._unwanted = unwanted
        self._clock = clock
        self._queue: asyncio.PriorityQueue[tuple[Urgency, int, Question]] = asyncio.PriorityQueue()
        self._order = itertools.count()

    def ask(self, question: Question, urgency: Urgency = Urgency.NEW) -> None:
        """Now, as soon as its turn comes."""
        if question.timer is not None:
            question.timer.cancel()
            question.timer = None
        if not question.waiters:
            self._unwanted(question)
        elif not question.asking:
            question.asking = True
            self._queue.put_nowait((urgency, next(self._order), question))
            MEASURE_WAITING.set(self._queue.qsize())

    def schedule(self, question: Question) -> None:
        """Again in time, by the age of the answer that it has."""
        measurement = question.measurement
        assert measurement is not None
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
        if question.facts is not None and question.failures:
            self._later(question, _retry_after(question.failures, 0) * spread, Urgency.REFRESH)
            return
        known = measurement.knowledge
        valid, urgency = self._policy().refresh_after * spread, Urgency.REFRESH
        if isinstance(known, Failure):
            valid, urgency = known.retry_after, Urgency.RETRY
        # A clock that was wrong when it was measured must not put it off for long.
        age = max(0.0, self._clock() - measurement.measured_at)
        self._later(question, min(max(valid - age, 0.0), _LONGEST_WAIT), urgency)

    def _later(self, question: Question, seconds: float, urgency: Urgency) -> None:
        if question.timer is not None:
            question.timer.cancel()
        question.timer = asyncio.get_running_loop().call_later(seconds, self.ask, question, urgency)

    async def run(self) -> None:
        """Forever, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._slots.wait()
                urgency, _, question = await self._queue.get()
                MEASURE_WAITING.set(self._queue.qsize())
                tenant = question.tenant
                if self._slots.crowded(tenant):
                    self._slots.release()
                    question.asking = False
                    self._later(question, _CROWDED, urgency)
                    continue
                group.create_task(self._one(question, tenant))

    async def _one(self, question: Question, tenant: str) -> None:
        policy = self._policy()
        async with self._slots.measure(tenant):
            found, failed = await self._measure(question, policy)
        question.asking = False
        if policy.sources != self._policy().sources:
            self.ask(question)  # the rules changed under it
            return
        if found is not None:
            question.measurement = found
        if question.measurement is None:
            # A refresh failed, and what it would have kept is gone: the policy named another Hub meanwhile.
            self.ask(question)
            return
        question.failures = question.failures + 1 if failed else 0
        self.schedule(question)
        if found is not None:
            self._answered(question)

    async def _measure(self, question: Question, policy: Policy) -> tuple[Measurement | None, bool]:
        """What was found, if it is news, and whether it failed. Never raises."""
        source, facts, rules = question.source, question.facts, policy.sources
        scheme = source.store or "other"
        began = time.perf_counter()
        access, reason = STRANGER, "Measured"
        try:
            if question.namespace:
                access = await self._access(question)
            same_scope = question.measurement is not None and question.measurement.scope == access.scope
            if (
                facts is not None
                and same_scope
                and await self._measurer.unchanged(source, facts, access=access, rules=rules)
            ):
                reason = "Unchanged"
            else:
                facts = await self._measurer.measure(source, access=access, rules=rules)
            return Measurement(facts, self._clock(), access.scope), False
        except MeasureError as error:
            reason = error.reason
            failure = Failure(reason, str(error), _retry_after(question.failures + 1, error.retry_after))
        except Exception:  # a source that our code trips over must not end the measuring of others
            log.exception("measuring failed source=%s", source.public_uri)
            reason = "InternalError"
            message = "the operator failed to measure it; its log says why"
            failure = Failure(reason, message, _retry_after(question.failures + 1, 300))
        finally:
            MEASUREMENTS.labels(scheme, reason).inc()
            MEASURE_SECONDS.labels(scheme).observe(time.perf_counter() - began)
        if facts is not None:
            # What was true yesterday is a better guide than nothing.
            log.warning("refresh failed, keeping what is known source=%s reason=%s", source.public_uri, reason)
            return None, True
        return Measurement(failure, self._clock(), access.scope), True


def _retry_after(failures: int, least: float) -> float:
    return max(least, min(_FIRST_RETRY * float(2 ** min(failures - 1, 20)), _LONGEST_RETRY))
