"""What is wanted to be known of models, and what is known: each source asked about once, however many wait for it.

Strangers are asked for first: what anybody may know is shared by all namespaces. Only where that fails, and the policy
allows a namespace a token, it is asked again with the token, and what is learnt so never leaves that namespace.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from pullsizer.controller.asking import Asking
from pullsizer.controller.lanes import Lanes
from pullsizer.controller.questions import Asks, Key, Question, Waiter, other_answers
from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.modelpull import ANONYMOUS, Measurement, source_key
from pullsizer.policy import HubToken, Policy
from pullsizer.sources.access import Access

_NOT_ALLOWED_RETRY: Final = 3600.0
"""Seconds. Only another policy helps, and with that all is asked again at once."""


class Measuring:
    """Keeps answers for all that ModelPulls ask about.

    :param credential: the token of a namespace, by the policy's rule
    :param answered: called for each waiter when something it asked about became known or changed
    :param clock: seconds since the epoch
    :param lanes: by default those of real Hubs, which count over five minutes
    """

    def __init__(
        self,
        measurer: Asks,
        *,
        concurrency: int,
        credential: Callable[[str, HubToken], Awaitable[Access]],
        answered: Callable[[Waiter], None],
        clock: Callable[[], float] = time.time,
        lanes: Lanes | None = None,
    ) -> None:
        self._credential = credential
        self._answered = answered
        self._questions: dict[Key, Question] = {}
        self._asked: dict[Waiter, set[Key]] = defaultdict(set)
        self._seeds: dict[Key, Measurement] = {}
        self._asking = Asking(
            measurer,
            concurrency=concurrency,
            access=self._access,
            answered=self._tell,
            unwanted=self._drop,
            clock=clock,
            lanes=lanes or Lanes(),
        )

    async def run(self) -> None:
        """Forever, until cancelled."""
        await self._asking.run()

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
        before = self._asking.policy
        self._asking.set_policy(policy)
        if not other_answers(before.sources, policy.sources):
            return
        elsewhere = before.sources.hugging_face.endpoint != policy.sources.hugging_face.endpoint
        if elsewhere:
            self._seeds.clear()
        for question in list(self._questions.values()):
            if elsewhere and question.source.scheme == "hf":
                question.measurement = None
            if question.facts is None:
                question.failures = 0
                self._asking.ask(question)

    def want(self, waiter: Waiter, sources: Iterable[Source]) -> None:
        """The waiter asks for these, and for nothing else that it asked for before."""
        keys = set()
        for source in sources:
            keys.add(self._join(waiter, source, ""))
            if self._needs_token(waiter.namespace, source):
                keys.add(self._join(waiter, source, waiter.namespace))
        for key in self._asked[waiter] - keys:
            self._questions[key].waiters.pop(waiter, None)
        self._asked[waiter] = keys

    def forget(self, waiter: Waiter) -> None:
        """Nobody needs to know for it any more; what is known stays until it would be asked again."""
        for key in self._asked.pop(waiter, ()):
            self._questions[key].waiters.pop(waiter, None)

    def answer(self, namespace: str, source: Source) -> Measurement | None:
        """What may be said in the namespace about the source; None where there is no answer yet."""
        key = source_key(source)
        common = self._questions.get((key, ""))
        if common is None or common.measurement is None:
            return None
        if common.facts is None and self._token_rule(namespace, source):
            private = self._questions.get((key, namespace))
            return private.measurement if private else None
        return common.measurement

    def _token_rule(self, namespace: str, source: Source) -> HubToken | None:
        rule = self._asking.policy.sources.hugging_face.token
        return rule if rule and source.scheme == "hf" and namespace in rule.namespaces else None

    def _needs_token(self, namespace: str, source: Source) -> bool:
        """Whether strangers were refused, and the namespace has a token to try."""
        common = self._questions[source_key(source), ""]
        refused = common.measurement is not None and common.facts is None
        return refused and self._token_rule(namespace, source) is not None

    def _join(self, waiter: Waiter, source: Source, namespace: str) -> Key:
        key = (source_key(source), namespace)
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = Question(source, namespace, self._seeds.pop(key, None))
            question.waiters[waiter] = None
            if question.measurement is None:
                self._asking.ask(question)
            else:
                self._asking.schedule(question)
        elif waiter not in question.waiters:
            question.waiters[waiter] = None
            self._asking.joined(question, waiter.namespace)
        self._asked[waiter].add(key)
        return key

    # -- what the asking needs, and tells ------------------------------------------------------------------------------

    async def _access(self, question: Question) -> Access:
        rule = self._token_rule(question.namespace, question.source)
        if rule is None:
            raise MeasureError("TokenNotAllowed", "the policy allows this namespace no token", _NOT_ALLOWED_RETRY)
        return await self._credential(question.namespace, rule)

    def _tell(self, question: Question) -> None:
        for waiter in list(question.waiters):
            if not question.namespace and self._needs_token(waiter.namespace, question.source):
                self._join(waiter, question.source, waiter.namespace)
            self._answered(waiter)

    def _drop(self, question: Question) -> None:
        key = (source_key(question.source), question.namespace)
        if self._questions.get(key) is question:
            del self._questions[key]
