"""What is known of models, and the asking: new services first, each source once however many wait for it.

Strangers are asked for first: what anybody may know is shared by all namespaces. Only where that fails, and the policy
allows a namespace a token, it is asked again with the token, and what is learnt so never leaves that namespace.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from pullsizer.controller.metrics import MEASURE_SECONDS, MEASURE_WAITING, MEASUREMENTS
from pullsizer.controller.questions import Asks, Key, Question, Waiter
from pullsizer.controller.slots import Slots
from pullsizer.errors import MeasureError
from pullsizer.model import Failure, Source
from pullsizer.modelpull import ANONYMOUS, Measurement, source_key
from pullsizer.policy import HubToken, Policy
from pullsizer.sources.access import STRANGER, Access

log = logging.getLogger(__name__)

NEW, RETRY, REFRESH = 0, 1, 2
_CROWDED: Final = 0.5
"""Seconds until a namespace with too many slow measurements is looked at again."""
_FIRST_RETRY: Final = 5.0
_LONGEST_RETRY: Final = 3600.0
_LONGEST_WAIT: Final = 30 * 86400.0
_JITTER: Final = 0.1
"""Of a refresh: what was measured at once need not be asked again at once."""


class Measuring:
    """Keeps answers for all that ModelPulls ask about.

    :param credential: the token of a namespace, by the policy's rule
    :param answered: called for each waiter when something it asked about became known or changed
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        measurer: Asks,
        *,
        concurrency: int,
        credential: Callable[[str, HubToken], Awaitable[Access]],
        answered: Callable[[Waiter], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._measurer = measurer
        self._slots = Slots(concurrency)
        self._credential = credential
        self._answered = answered
        self._clock = clock
        self._policy = Policy()
        self._entries: dict[Key, Question] = {}
        self._asked: dict[Waiter, set[Key]] = defaultdict(set)
        self._seeds: dict[Key, Measurement] = {}
        self._queue: asyncio.PriorityQueue[tuple[int, int, Question]] = asyncio.PriorityQueue()
        self._order = itertools.count()

    def seed(self, namespace: str, key: str, measurement: Measurement) -> None:
        """What an earlier process measured and wrote into a ModelPull of the namespace."""
        owner = "" if measurement.scope == ANONYMOUS else measurement.scope.partition("/")[0]
        if owner not in ("", namespace):
            return
        known = self._seeds.get((key, owner))
        if known is None or known.measured_at < measurement.measured_at:
            self._seeds[key, owner] = measurement

    def set_policy(self, policy: Policy) -> None:
        """Other rules may have other answers: failures are asked again, and another Hub knows other models."""
        before, self._policy = self._policy, policy
        if before.sources == policy.sources:
            return
        elsewhere = before.sources.hugging_face.endpoint != policy.sources.hugging_face.endpoint
        if elsewhere:
            self._seeds.clear()
        for entry in list(self._entries.values()):
            if elsewhere and entry.source.scheme == "hf":
                entry.measurement = None
            if entry.facts is None:
                entry.failures = 0
                self._ask(entry, NEW)

    def want(self, waiter: Waiter, sources: Iterable[Source]) -> None:
        """The waiter asks for these, and for nothing else that it asked for before."""
        keys = set()
        for source in sources:
            keys.add(self._join(waiter, source, ""))
            if self._needs_token(waiter.namespace, source):
                keys.add(self._join(waiter, source, waiter.namespace))
        for key in self._asked[waiter] - keys:
            self._entries[key].waiters.pop(waiter, None)
        self._asked[waiter] = keys

    def forget(self, waiter: Waiter) -> None:
        """Nobody needs to know for it any more; what is known stays until it would be asked again."""
        for key in self._asked.pop(waiter, ()):
            self._entries[key].waiters.pop(waiter, None)

    def answer(self, namespace: str, source: Source) -> Measurement | None:
        """What may be said in the namespace about the source; None where there is no answer yet."""
        key = source_key(source)
        common = self._entries.get((key, ""))
        if common is None or common.measurement is None:
            return None
        if common.facts is None and self._token_rule(namespace, source):
            private = self._entries.get((key, namespace))
            return private.measurement if private else None
        return common.measurement

    def _token_rule(self, namespace: str, source: Source) -> HubToken | None:
        rule = self._policy.sources.hugging_face.token
        return rule if rule and source.scheme == "hf" and namespace in rule.namespaces else None

    def _needs_token(self, namespace: str, source: Source) -> bool:
        """Whether strangers were refused, and the namespace has a token to try."""
        common = self._entries[source_key(source), ""]
        refused = common.measurement is not None and common.facts is None
        return refused and self._token_rule(namespace, source) is not None

    def _join(self, waiter: Waiter, source: Source, namespace: str) -> Key:
        key = (source_key(source), namespace)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Question(source, namespace, self._seeds.pop(key, None))
            entry.waiters[waiter] = None
            if entry.measurement is None:
                self._ask(entry, NEW)
            else:
                self._schedule(entry)
        entry.waiters[waiter] = None
        self._asked[waiter].add(key)
        return key

    # -- when ----------------------------------------------------------------------------------------------------------

    def _schedule(self, entry: Question) -> None:
        """Ask again in time."""
        measurement = entry.measurement
        assert measurement is not None
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
        if entry.facts is not None and entry.failures:
            self._later(entry, self._retry_after(entry.failures, 0) * spread, REFRESH)
            return
        known = measurement.knowledge
        valid, priority = self._policy.refresh_after * spread, REFRESH
        if isinstance(known, Failure):
            valid, priority = known.retry_after, RETRY
        # A clock that was wrong when it was measured must not put it off for long.
        age = max(0.0, self._clock() - measurement.measured_at)
        self._later(entry, min(max(valid - age, 0.0), _LONGEST_WAIT), priority)

    def _later(self, entry: Question, seconds: float, priority: int) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        entry.timer = asyncio.get_running_loop().call_later(seconds, self._ask, entry, priority)

    def _ask(self, entry: Question, priority: int) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        key = (source_key(entry.source), entry.namespace)
        if not entry.waiters:
            if self._entries.get(key) is entry:
                del self._entries[key]
            return
        if not entry.asking:
            entry.asking = True
            self._queue.put_nowait((priority, next(self._order), entry))
            MEASURE_WAITING.set(self._queue.qsize())

    @staticmethod
    def _retry_after(failures: int, least: float) -> float:
        return max(least, min(_FIRST_RETRY * float(2 ** min(failures - 1, 20)), _LONGEST_RETRY))

    # -- asking --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Forever, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._slots.wait()
                priority, _, entry = await self._queue.get()
                MEASURE_WAITING.set(self._queue.qsize())
                tenant = entry.namespace or next((waiter.namespace for waiter in entry.waiters), "")
                if self._slots.crowded(tenant):
                    self._slots.release()
                    entry.asking = False
                    self._later(entry, _CROWDED, priority)
                    continue
                group.create_task(self._one(entry, tenant))

    async def _one(self, entry: Question, tenant: str) -> None:
        policy = self._policy
        async with self._slots.measure(tenant):
            found, retry = await self._measure(entry, policy)
        entry.asking = False
        if policy.sources != self._policy.sources:
            self._ask(entry, NEW)  # the rules changed under it
            return
        if found is not None:
            entry.measurement = found
        if entry.measurement is None:
            # A refresh failed, and what it would have kept is gone: the policy named another Hub meanwhile.
            self._ask(entry, NEW)
            return
        entry.failures = entry.failures + 1 if retry else 0
        self._schedule(entry)
        if found is None:
            return
        for waiter in list(entry.waiters):
            if not entry.namespace and self._needs_token(waiter.namespace, entry.source):
                self._join(waiter, entry.source, waiter.namespace)
            self._answered(waiter)

    async def _credential_of(self, namespace: str, source: Source) -> Access:
        rule = self._token_rule(namespace, source)
        if rule is None:
            raise MeasureError("TokenNotAllowed", "the policy allows this namespace no token", _LONGEST_RETRY)
        return await self._credential(namespace, rule)

    async def _measure(self, entry: Question, policy: Policy) -> tuple[Measurement | None, bool]:
        """What was found, if it is news, and whether it failed. Never raises."""
        source, facts, rules = entry.source, entry.facts, policy.sources
        scheme = source.store or "other"
        began = time.perf_counter()
        access, reason = STRANGER, "Measured"
        try:
            if entry.namespace:
                access = await self._credential_of(entry.namespace, source)
            same_scope = entry.measurement is not None and entry.measurement.scope == access.scope
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
            failure = Failure(reason, str(error), self._retry_after(entry.failures + 1, error.retry_after))
        except Exception:  # a source that our code trips over must not end the measuring of others
            log.exception("measuring failed source=%s", source.public_uri)
            reason = "InternalError"
            message = "the operator failed to measure it; its log says why"
            failure = Failure(reason, message, self._retry_after(entry.failures + 1, 300))
        finally:
            MEASUREMENTS.labels(scheme, reason).inc()
            MEASURE_SECONDS.labels(scheme).observe(time.perf_counter() - began)
        if facts is not None:
            # What was true yesterday is a better guide than nothing.
            log.warning("refresh failed, keeping what is known source=%s reason=%s", source.public_uri, reason)
            return None, True
        return Measurement(failure, self._clock(), access.scope), True
