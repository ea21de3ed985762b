"""The asking: when a question's turn comes, who is asked with what, and what becomes of the answer."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from pullsizer.controller.budget import Permission
from pullsizer.controller.credentials import Found
from pullsizer.controller.lanes import Lane, Lanes
from pullsizer.controller.metrics import MEASURE_SECONDS, MEASURE_WAITING, MEASUREMENTS
from pullsizer.controller.questions import Asks, Question, Urgency, other_answers
from pullsizer.controller.slots import Slots
from pullsizer.controller.turns import Turn, Turns
from pullsizer.errors import MeasureError
from pullsizer.model import Failure, ModelFacts
from pullsizer.modelpull import ANONYMOUS, Measurement
from pullsizer.policy import Policy, SourceRules
from pullsizer.sources.access import STRANGER
from pullsizer.sources.counting import counting

log = logging.getLogger(__name__)

_FIRST_RETRY: Final = 5.0
_LONGEST_RETRY: Final = 3600.0
_LONGEST_WAIT: Final = 30 * 86400.0
_JITTER: Final = 0.1
"""Of a refresh: what was measured at once need not be asked again at once."""


class Asking:
    """Asks the questions it is given, and asks them again in time.

    :param find: what a question is asked with that is asked on behalf of a namespace
    :param answered: called when a question has an answer that is news
    :param unwanted: called when a question is due that nobody waits for; it is not asked
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        measurer: Asks,
        *,
        concurrency: int,
        find: Callable[[Question], Awaitable[Found]],
        answered: Callable[[Question], None],
        unwanted: Callable[[Question], None],
        clock: Callable[[], float] = time.time,
        lanes: Lanes,
    ) -> None:
        self.policy = Policy()
        """In force; replaced by `set_policy`."""
        self._measurer = measurer
        self._slots = Slots(concurrency)
        self._find = find
        self._answered = answered
        self._unwanted = unwanted
        self._clock = clock
        self._lanes = lanes
        self._turns: Turns[Lane, Question] = Turns()
        self._wake = asyncio.Event()
        """Something may have its turn that had not before."""

    def set_policy(self, policy: Policy) -> None:
        self.policy = policy
        self._lanes.set_rules(policy.sources)
        self._wake.set()

    def ask(self, question: Question, urgency: int = Urgency.NEW, *, first: bool = False) -> None:
        """Now, as soon as its turn comes; `first` for one that had a turn in vain."""
        if question.timer is not None:
            question.timer.cancel()
            question.timer = None
        if not question.waiters:
            self._unwanted(question)
        elif not question.asking:
            question.asking = True
            lane = self._lanes.of(question)
            self._turns.put(question, lane, urgency, question.tenants, first=first)
            MEASURE_WAITING.labels(lane.kind).inc()
            self._wake.set()

    def held(self, question: Question) -> bool:
        """Whether it waits for its turn at a Hub, which the Hub's request limit can make long."""
        return question in self._turns and self._lanes.of(question).hub is not None

    def joined(self, question: Question, namespace: str) -> None:
        """Another namespace waits for the question: it is asked when the first of them has its turn."""
        self._turns.join(question, namespace)
        self._wake.set()

    def schedule(self, question: Question) -> None:
        """Again in time, by the age of the answer that it has."""
        measurement = question.measurement
        assert measurement is not None
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
        if question.facts is not None and question.failures:
            self._later(question, _retry_after(question.failures, 0) * spread, Urgency.REFRESH)
            return
        known = measurement.knowledge
        valid, urgency = self.policy.refresh_after * spread, Urgency.REFRESH
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
                turn = await self._next()
                group.create_task(self._one(turn, self._lanes.take(turn.lane)))

    async def _next(self) -> Turn[Lane, Question]:
        """The question whose turn it is, once there is one."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            # Looked at once: a lane that opened between two looks would be waited for by nobody.
            closed = {lane: wait for lane in self._turns.lanes() if (wait := self._lanes.wait(lane)) > 0}
            turn = self._turns.pop(closed, self._slots.free)
            if turn is None:
                opens = min(closed.values(), default=math.inf)
                timer = loop.call_later(opens, self._wake.set) if opens < math.inf else None
                await self._wake.wait()
                if timer is not None:
                    timer.cancel()
                continue
            MEASURE_WAITING.labels(turn.lane.kind).dec()
            if turn.item.waiters:
                return turn
            turn.item.asking = False  # nobody waits any more; it costs nothing of any limit
            self._unwanted(turn.item)

    async def _one(self, turn: Turn[Lane, Question], permission: Permission) -> None:
        question, rules = turn.item, self.policy.sources
        try:
            async with self._slots.measure(turn.tenant):
                with counting(permission.sent):
                    found, failed = await self._measure(question, rules)
        except MeasureError as error:  # its Hub wants a rest, which is no failure of this question
            self._lanes.pause(turn.lane, error.retry_after)
            question.asking = False
            self.ask(question, turn.urgency, first=True)
            return
        finally:
            permission.close()
            self._wake.set()
        question.asking = False
        if other_answers(rules, self.policy.sources):
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

    async def _measure(self, question: Question, rules: SourceRules) -> tuple[Measurement | None, bool]:
        """What was found, if it is news, and whether it failed.

        :raises MeasureError: a Hub wants a rest
        """
        source, facts = question.source, question.facts
        scheme = source.store or "other"
        began = time.perf_counter()
        reason = "Measured"
        # A failure has a scope, too: that a namespace's Secret is missing is no news about the source.
        scope = f"{question.namespace}/" if question.namespace else ANONYMOUS
        try:
            found = await self._find(question) if question.namespace else None
            scope = found.access.scope if found else scope
            measured = await self._ask(question, found, rules)
            reason = "Unchanged" if measured is facts else "Measured"
            return Measurement(measured, self._clock(), scope), False
        except MeasureError as error:
            reason = error.reason
            if reason == "RateLimited" and source.store == "hf":
                raise
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
        return Measurement(failure, self._clock(), scope), True

    async def _ask(self, question: Question, found: Found | None, rules: SourceRules) -> ModelFacts:
        """The question's own facts where they still hold: with the same credentials, that is cheap to ask."""
        source, access = (found.source, found.access) if found else (question.source, STRANGER)
        facts, before = question.facts, question.measurement
        try:
            same_scope = before is not None and before.scope == access.scope
            if (
                facts is not None
                and same_scope
                and await self._measurer.unchanged(source, facts, access=access, rules=rules)
            ):
                return facts
            return await self._measurer.measure(source, access=access, rules=rules)
        except MeasureError as error:
            if found is not None and error.reason == "Unauthorized":
                raise found.refused from None
            raise


def _retry_after(failures: int, least: float) -> float:
    return max(least, min(_FIRST_RETRY * float(2 ** min(failures - 1, 20)), _LONGEST_RETRY))
