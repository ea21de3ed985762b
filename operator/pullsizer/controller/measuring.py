"""What is wanted to be known of models, and what is known: each source asked about once, however many wait for it.

Strangers are asked for first: what anybody may know is shared by all namespaces. Where that fails, and the policy lets
a namespace's credentials be used, it is asked again on behalf of the namespace, as the account that the service names.
Where a user says at which endpoint a source is, it is asked on behalf of the namespace alone. What is learnt so never
leaves the namespace. Within one, facts are everybody's and failures are not: a namespace is one tenant, and another
account may be let in.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final, NamedTuple

from pullsizer.account import NOBODY, Account
from pullsizer.controller.asking import Asking
from pullsizer.controller.credentials import Found, endpoint_mark, mark_of, may_use, named_by_secret
from pullsizer.controller.lanes import Lanes
from pullsizer.controller.questions import Asks, Question, Waiter, other_answers
from pullsizer.controller.seeds import Seeds
from pullsizer.model import Failure, Source, Store
from pullsizer.modelpull import Measurement, source_key
from pullsizer.policy import Policy, SourceRules

Finds = Callable[[Source, str, Account, SourceRules], Awaitable[Found]]
Place = tuple[str, str]
"""A source, by its key, and the namespace on whose behalf it is asked about; no namespace for strangers."""

_REFUSED: Final = frozenset({"Unauthorized", "NotFound", "RateLimited", "TLSError"})
"""Why a stranger may have got no answer where somebody with credentials, or certificates to trust, gets one."""


class _Wish(NamedTuple):
    account: Account
    sources: tuple[Source, ...]


class Measuring:
    """Keeps answers for all that ModelPulls ask about.

    :param find: what to ask with on behalf of a namespace
    :param answered: called for each waiter when something it asked about became known or changed
    :param clock: seconds since the epoch
    :param lanes: by default those of real Hubs, which count over five minutes
    """

    def __init__(
        self,
        measurer: Asks,
        *,
        concurrency: int,
        find: Finds,
        answered: Callable[[Waiter], None],
        clock: Callable[[], float] = time.time,
        lanes: Lanes | None = None,
    ) -> None:
        self._finds = find
        self._answered = answered
        self._questions: dict[Place, dict[tuple[str, Account], Question]] = defaultdict(dict)
        """By place, endpoint of the source, and account."""
        self._wishes: dict[Waiter, _Wish] = {}
        self._asked: dict[Waiter, set[Question]] = defaultdict(set)
        self._seeds = Seeds()
        self._asking = Asking(
            measurer,
            concurrency=concurrency,
            find=self._find,
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
        self._seeds.put(namespace, key, measurement)

    def set_policy(self, policy: Policy) -> None:
        """Other rules may have other answers: failures are asked again, and another store knows other models."""
        before, after = self._asking.policy.sources, policy.sources
        self._asking.set_policy(policy)
        if not other_answers(before, after):
            return
        elsewhere = set(_elsewhere(before, after))
        if elsewhere:
            self._seeds.clear()
        for question in [question for place in self._questions.values() for question in place.values()]:
            source, namespace = question.source, question.namespace
            another_say = may_use(source, namespace, before) != may_use(source, namespace, after)
            if source.store in elsewhere or (namespace and another_say):
                question.measurement = None
            if question.facts is None:
                question.failures = 0
                self._asking.ask(question)
        for waiter in self._wishes:
            self._join_all(waiter)

    def want(self, waiter: Waiter, sources: Iterable[Source], account: Account = NOBODY) -> None:
        """The waiter asks for these, as this account, and for nothing else that it asked for before."""
        self._wishes[waiter] = _Wish(account, tuple(sources))
        self._join_all(waiter)

    def forget(self, waiter: Waiter) -> None:
        """Nobody needs to know for it any more; what is known stays until it would be asked again."""
        self._wishes.pop(waiter, None)
        for question in self._asked.pop(waiter, ()):
            question.waiters.pop(waiter, None)

    def answer(self, namespace: str, source: Source, account: Account = NOBODY) -> Measurement | None:
        """What may be said in the namespace about the source; None where there is no answer yet."""
        known = self._known(namespace, source)
        if known is not None:
            return known.measurement
        common = None
        if not self._on_behalf(namespace, source, account):
            common = self._questions.get((source_key(source), ""), {}).get((source.endpoint, NOBODY))
            if common is None or not self._let_in(common, namespace):
                return common.measurement if common else None
        own = self._questions.get((source_key(source), namespace), {}).get((source.endpoint, account))
        if own is None or own.measurement is None:
            return None
        if common is not None and _reason(own) == "NoCredentials" and _reason(common) != "Unauthorized":
            return common.measurement
        return own.measurement

    def held(self, waiter: Waiter) -> bool:
        """Whether something that the waiter asks for waits for its turn at a Hub."""
        return any(map(self._asking.held, self._asked.get(waiter, ())))

    # -- which questions answer a wish ---------------------------------------------------------------------------------

    def _join_all(self, waiter: Waiter) -> None:
        account, sources = self._wishes[waiter]
        joined = {question for source in sources for question in self._join(waiter, source, account)}
        for question in self._asked[waiter] - joined:
            question.waiters.pop(waiter, None)
        self._asked[waiter] = joined

    def _join(self, waiter: Waiter, source: Source, account: Account) -> Iterator[Question]:
        namespace = waiter.namespace
        known = self._known(namespace, source)
        if known is not None:
            yield self._wait(waiter, known)
        elif self._on_behalf(namespace, source, account):
            yield self._ask(waiter, source, namespace, account)
        else:
            common = self._ask(waiter, source, "", NOBODY)
            yield common
            if self._let_in(common, namespace):
                yield self._ask(waiter, source, namespace, account)

    def _on_behalf(self, namespace: str, source: Source, account: Account) -> bool:
        """Whether strangers are not asked at all: it would be elsewhere, or tell others where a user's store is."""
        by_user = bool(source.endpoint) or account.storage is not None
        return by_user or named_by_secret(source, namespace, self._asking.policy.sources)

    def _let_in(self, common: Question, namespace: str) -> bool:
        """Whether strangers were refused, and the namespace has something to try."""
        return _reason(common) in _REFUSED and may_use(common.source, namespace, self._asking.policy.sources)

    def _known(self, namespace: str, source: Source) -> Question | None:
        """A question on behalf of the namespace, as whomever, that was answered with facts.

        At the same endpoint: where the question itself names none, a Secret may have, and its scope tells.
        """
        mark = endpoint_mark(source.endpoint)
        for question in self._questions.get((source_key(source), namespace), {}).values():
            known = question.measurement
            if known is not None and question.facts is not None and mark_of(known.scope) == mark:
                return question
        return None

    def _ask(self, waiter: Waiter, source: Source, namespace: str, account: Account) -> Question:
        questions = self._questions[source_key(source), namespace]
        question = questions.get((source.endpoint, account))
        if question is None:
            seed = self._seeds.take(source_key(source), namespace, source.endpoint)
            question = Question(source, namespace, account, seed)
            questions[source.endpoint, account] = question
            question.waiters[waiter] = None
            if question.measurement is None:
                self._asking.ask(question)
            else:
                self._asking.schedule(question)
        return self._wait(waiter, question)

    def _wait(self, waiter: Waiter, question: Question) -> Question:
        if waiter not in question.waiters:
            question.waiters[waiter] = None
            if not question.namespace:
                self._asking.joined(question, waiter.namespace)
        return question

    # -- what the asking needs, and tells ------------------------------------------------------------------------------

    async def _find(self, question: Question) -> Found:
        source, namespace, account = question.source, question.namespace, question.account
        found = await self._finds(source, namespace, account, self._asking.policy.sources)
        if found.stranger and not self._on_behalf(namespace, source, account):
            raise found.refused  # strangers were asked before
        return found

    def _tell(self, question: Question) -> None:
        told = dict(question.waiters)
        if question.namespace and question.facts:
            for other in self._questions[source_key(question.source), question.namespace].values():
                told |= other.waiters
        for waiter in told:
            if waiter in self._wishes:
                self._join_all(waiter)
            self._answered(waiter)

    def _drop(self, question: Question) -> None:
        place = source_key(question.source), question.namespace
        found = self._questions.get(place, {})
        key = question.source.endpoint, question.account
        if found.get(key) is question:
            del found[key]
        if not found:
            self._questions.pop(place, None)


def _reason(question: Question) -> str:
    known = question.measurement.knowledge if question.measurement else None
    return known.reason if isinstance(known, Failure) else ""


def _elsewhere(before: SourceRules, after: SourceRules) -> Iterator[Store]:
    """Stores of which an administrator names another one now."""
    if before.hugging_face.endpoint != after.hugging_face.endpoint:
        yield "hf"
    if before.s3.endpoint != after.s3.endpoint:
        yield "s3"
