"""Lanes of questions: each Hub has one, which is closed while its request limit is used up or it asked for a rest."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from yarl import URL

from pullsizer.controller.budget import FREE, WINDOW, Budget, Permission
from pullsizer.controller.metrics import HUB_REQUESTS_LEFT
from pullsizer.controller.questions import Question
from pullsizer.policy import SourceRules
from pullsizer.sources.addresses import normal_host

POLICYS: Final = ""
"""The Hub that the policy names, whichever that is."""


class Lane(NamedTuple):
    """Questions that wait for the same.

    :param hub: the host of a Hub that a user names; `POLICYS`; None: no Hub, and nothing to wait for
    :param namespace: whose credential is used, if any: Hubs tell those who are known to them to wait by their account
    """

    hub: str | None
    namespace: str = ""

    @property
    def kind(self) -> str:
        """For metrics, in which nothing that users write may be."""
        return "other" if self.hub is None else "named-hub" if self.hub else "hub"


class Lanes:
    """Which are open.

    The limit is one of each Hub, whosever credential is used: so it holds for every account, too.

    :param window: seconds over which Hubs count
    """

    def __init__(self, *, window: float = WINDOW, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self._rules = SourceRules()
        self._policys = self._budget()
        self._named: OrderedDict[str, Budget] = OrderedDict()  # the one used last is the last
        self._paused: dict[Lane, float] = {}
        HUB_REQUESTS_LEFT.set_function(self._left)

    def set_rules(self, rules: SourceRules) -> None:
        """Another limit holds for what was asked before it, too; another Hub asked for no rest."""
        before, self._rules = self._rules, rules
        for budget in (self._policys, *self._named.values()):
            budget.limit = rules.hugging_face.requests_per_5_minutes
        if before.hugging_face.endpoint != rules.hugging_face.endpoint:
            self._policys = self._budget()
            self._paused = {lane: until for lane, until in self._paused.items() if lane.hub != POLICYS}

    def of(self, question: Question) -> Lane:
        """The lane in which a question waits."""
        source = question.source
        if source.store != "hf":
            return Lane(None)
        host = _host(source.endpoint)
        return Lane(POLICYS if host == _host(self._rules.hugging_face.endpoint) else host, question.namespace)

    def wait(self, lane: Lane) -> float:
        """Seconds until the lane may be open; 0: it is."""
        if lane.hub is None:
            return 0.0
        rest = max(0.0, self._paused.get(lane, 0.0) - self._clock())
        return max(rest, self._of(lane.hub).wait())

    def take(self, lane: Lane) -> Permission:
        """For a question in an open lane."""
        if lane.hub is None:
            return FREE
        budget = self._of(lane.hub)
        if lane.hub:
            self._named[lane.hub] = budget
            self._named.move_to_end(lane.hub)
            while (oldest := next(iter(self._named))) != lane.hub and self._named[oldest].idle:
                del self._named[oldest]
        return budget.take()

    def pause(self, lane: Lane, seconds: float) -> None:
        """Its Hub asked for no questions for so long."""
        now = self._clock()
        until = max(now + seconds, self._paused.get(lane, 0.0))
        self._paused = {other: end for other, end in self._paused.items() if end > now} | {lane: until}

    def _of(self, hub: str) -> Budget:
        return self._policys if hub == POLICYS else self._named.get(hub) or self._budget()

    def _budget(self) -> Budget:
        return Budget(self._rules.hugging_face.requests_per_5_minutes, window=self._window, clock=self._clock)

    def _left(self) -> int:
        return 0 if self._paused.get(Lane(POLICYS), 0.0) > self._clock() else self._policys.left


def _host(endpoint: str) -> str:
    """Of a Hub; the policy's where none is named. What is no URL is nobody's, and will be refused in its turn."""
    if not endpoint:
        return POLICYS
    try:
        return normal_host(URL(endpoint).raw_host or "")
    except ValueError:
        return "?"
