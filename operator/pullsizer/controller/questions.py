"""What is asked about models, by whom, and what was answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

from pullsizer.account import NOBODY, Account
from pullsizer.model import ModelFacts, Source
from pullsizer.modelpull import Measurement
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER, Access


class Asks(Protocol):
    """`sources.measure.Measurer`, as far as it is used here."""

    async def measure(self, source: Source, *, access: Access = STRANGER, rules: SourceRules) -> ModelFacts: ...

    async def unchanged(
        self, source: Source, facts: ModelFacts, *, access: Access = STRANGER, rules: SourceRules
    ) -> bool: ...


class Waiter(NamedTuple):
    """A ModelPull that wants to know."""

    namespace: str
    name: str


class Urgency(IntEnum):
    """Who comes first: a service that starts now, before what failed, before what is known and may have changed."""

    NEW = 0
    RETRY = 1
    REFRESH = 2


@dataclass(eq=False)
class Question:
    """One about a source, of all who ask it.

    :param namespace: on whose behalf it is asked; none for strangers, whose answers are everybody's
    :param account: as whom it is asked, within the namespace
    :param measurement: the answer, if there is one
    :param failures: tries that failed since the last that did not
    :param asking: it waits for its turn, or is being asked
    """

    source: Source
    namespace: str = ""
    account: Account = NOBODY
    measurement: Measurement | None = None
    failures: int = 0
    asking: bool = False
    timer: asyncio.TimerHandle | None = None
    waiters: dict[Waiter, None] = field(default_factory=dict)

    @property
    def tenants(self) -> set[str]:
        """The namespaces that wait for it."""
        return {self.namespace} if self.namespace else {waiter.namespace for waiter in self.waiters}

    @property
    def facts(self) -> ModelFacts | None:
        known = self.measurement.knowledge if self.measurement else None
        return known if isinstance(known, ModelFacts) else None


def other_answers(before: SourceRules, after: SourceRules) -> bool:
    """Whether there may be: how often is asked changes none."""

    def answering(rules: SourceRules) -> SourceRules:
        hub = rules.hugging_face.model_copy(update={"requests_per_5_minutes": 0})
        return rules.model_copy(update={"hugging_face": hub})

    return before is not after and answering(before) != answering(after)
