"""The asking, by the real Measurer of a Hub on a real socket: how often, in which order, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from huggingface_hub.utils import _detect_agent
from prometheus_client import REGISTRY

from pullsizer.account import Account
from pullsizer.controller.credentials import Found
from pullsizer.controller.lanes import Lane, Lanes
from pullsizer.controller.measuring import Measuring
from pullsizer.controller.questions import Waiter
from pullsizer.errors import MeasureError
from pullsizer.model import Failure, ModelFacts, Source
from pullsizer.modelpull import Measurement, source_key
from pullsizer.policy import Policy, SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.measure import Measurer
from tests.stubs.hub import TOKEN, HubStub
from tests.unit.controller.examples import FACTS

LARGE, SMALL = "nine-thousand", "one"


def model(number: int) -> Source:
    return Source(f"hf://stub/model-{number}")


class World:
    """What waits, and what was answered."""

    def __init__(self, hub: HubStub, measurer: Measurer, lanes: Lanes, limit: int, concurrency: int) -> None:
        self.hub = hub
        self.told: list[Waiter] = []
        self.measuring = Measuring(
            measurer, concurrency=concurrency, find=self._find, answered=self.told.append, lanes=lanes
        )
        self.set_limit(limit)

    def set_limit(self, limit: int) -> None:
        token = {"secretName": "hub", "namespaces": [SMALL]}
        hub = {"endpoint": self.hub.url, "requestsPer5Minutes": limit, "token": token}
        sources = {"huggingFace": hub, "allowCIDRs": ["127.0.0.0/8"]}
        self.measuring.set_policy(Policy.model_validate({"sources": sources}))

    def want(self, source: Source, namespace: str = LARGE, name: str = "") -> Waiter:
        waiter = Waiter(namespace, name or source.uri)
        self.measuring.want(waiter, [source])
        return waiter

    @staticmethod
    async def _find(source: Source, _: str, __: Account, ___: SourceRules) -> Found:
        return Found(Access(f"{SMALL}/uid/1", {"HF_TOKEN": TOKEN}), source, MeasureError("Unauthorized", "no", 900))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.002)

    def known(self, namespace: str, source: Source) -> bool:
        answer = self.measuring.answer(namespace, source)
        return answer is not None and isinstance(answer.knowledge, ModelFacts)

    @property
    def asked(self) -> list[str]:
        """The models that the Hub was asked about, by their numbers."""
        return [path.removesuffix("/tree/main").rpartition("-")[2] for _, path, _ in self.hub.asked]


@asynccontextmanager
async def world(limit: int, *, lanes: Lanes | None = None, concurrency: int = 8) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(HubStub())
        measurer = await stack.enter_async_context(Measurer(environ={}))
        found = World(hub, measurer, lanes or Lanes(), limit, concurrency)
        running = asyncio.create_task(found.measuring.run())
        try:
            yield found
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def waiting(lane: str) -> float:
    return REGISTRY.get_sample_value("pullsizer_measure_waiting", {"lane": lane}) or 0.0


async def test_two_thousand_models_take_two_thousand_requests_and_a_newcomer_is_not_the_last() -> None:
    before = waiting("hub")
    async with world(200, lanes=Lanes(window=0.1)) as found:
        for number in range(2000):
            found.want(model(number))
        assert waiting("hub") - before == 2000
        await found.until(lambda: len(found.asked) > 500)
        at = len(found.asked)
        found.want(model(9999), SMALL)
        await found.until(lambda: len(found.told) == 2001)
        assert len(found.asked) == len(set(found.asked)) == 2001
        # After what was on its way already, and one in turn of the other tenant.
        assert found.asked.index("9999") - at <= 8 + 2
    assert waiting("hub") == before


async def test_a_used_up_limit_holds_up_nothing_but_that_hub() -> None:
    async with world(6) as found:
        for number in range(50):
            found.want(model(number))
        await found.until(lambda: len(found.told) == 4)
        file = Source(f"{found.hub.url}/files/iris/model.zip")
        found.want(file)
        await found.until(lambda: found.known(LARGE, file))
        assert found.measuring.answer(LARGE, model(7)) is None
        assert found.measuring.held(Waiter(LARGE, model(7).uri))
        assert not found.measuring.held(Waiter(LARGE, model(0).uri))
        assert sum(path.startswith("/api") for _, path, _ in found.hub.asked) == 4


async def test_a_lane_that_opens_while_it_is_looked_at_is_not_forgotten() -> None:
    class Flickering(Lanes):
        looks = 0

        def wait(self, lane: Lane) -> float:
            self.looks += 1
            return 0.001 if self.looks % 2 else 0.0

    async with world(1000, lanes=Flickering()) as found:
        for number in range(5):
            found.want(model(number))
        await found.until(lambda: len(found.told) == 5)


async def test_a_larger_limit_counts_at_once_and_answers_are_not_asked_for_again() -> None:
    async with world(6) as found:
        for number in range(20):
            found.want(model(number))
        await found.until(lambda: len(found.told) == 4)
        found.set_limit(1000)
        await found.until(lambda: len(found.told) == 20)
        assert sorted(Counter(found.asked).values()) == [1] * 20


async def test_a_hub_that_wants_a_rest_gets_one_and_no_failure_is_told() -> None:
    async with world(1000) as found:
        found.hub.busy = 100
        for number in range(100):
            found.want(model(number))
        await found.until(lambda: found.asked and len(found.measuring._asking._turns) == 100)
        in_vain = len(found.asked)
        assert in_vain <= 8  # what was on its way
        assert not found.told
        found.hub.busy = 0
        await found.until(lambda: len(found.told) == 100)
        assert all(found.known(LARGE, model(number)) for number in range(100))
        assert len(found.asked) == 100 + in_vain


async def test_who_goes_away_during_a_rest_leaves_nothing_behind() -> None:
    before = waiting("hub")
    async with world(1000) as found:
        found.hub.busy = 1
        waiter = found.want(model(1))
        await found.until(lambda: found.hub.asked)
        found.measuring.forget(waiter)
        await found.until(lambda: not found.measuring._questions)
        assert waiting("hub") == before


async def test_a_rest_of_one_account_is_not_that_of_strangers() -> None:
    private = Source("hf://stub/private")
    async with world(1000) as found:
        found.want(private, SMALL)
        await found.until(lambda: found.known(SMALL, private))
        found.hub.busy = 1
        refreshed = found.measuring._known(SMALL, private)
        assert refreshed is not None
        found.measuring._asking.ask(refreshed)
        await found.until(lambda: not found.hub.busy)
        found.want(model(1))
        await found.until(lambda: found.known(LARGE, model(1)))
        assert refreshed.asking
        await found.until(lambda: not refreshed.asking)


async def test_new_models_come_before_failures_and_those_before_what_is_known() -> None:
    failed, old = model(1), model(2)
    async with world(2, concurrency=1) as found:
        found.want(model(0))
        await found.until(lambda: found.told)
        found.want(model(3))  # all that there is for a while
        await found.until(lambda: len(found.told) == 2)
        found.measuring.seed(LARGE, source_key(old), Measurement(FACTS, 0))
        found.measuring.seed(LARGE, source_key(failed), Measurement(Failure("Timeout", "it is slow", 1), 0))
        for source in (old, failed):
            found.want(source)
        await found.until(lambda: len(found.measuring._asking._turns) == 2)
        found.want(model(4))
        found.set_limit(200)
        await found.until(lambda: "2" in found.asked)
        assert found.asked[2:5] == ["4", "1", "2"]


async def test_a_source_that_a_busy_tenant_shares_with_another_has_the_others_turn() -> None:
    async with world(2) as found:
        for number in range(20):
            found.want(model(number))
        await found.until(lambda: len(found.told) == 2)
        found.want(model(19), SMALL)
        found.set_limit(1000)
        await found.until(lambda: len(found.asked) == 20)
        assert found.asked.index("19") <= 4 + 8


async def test_what_nobody_waits_for_any_more_costs_nothing() -> None:
    async with world(2) as found:
        gone = [found.want(model(number)) for number in range(20)]
        await found.until(lambda: len(found.told) == 2)
        for waiter in gone:
            found.measuring.forget(waiter)
        found.want(model(20))
        found.set_limit(6)
        await found.until(lambda: found.known(LARGE, model(20)))
        assert len(found.asked) == 3


async def test_what_takes_no_request_is_not_counted() -> None:
    async with world(2) as found:
        for number in range(20):
            found.want(Source(f"hf://nonsense-{number}"))
        await found.until(lambda: len(found.told) == 20)
        assert REGISTRY.get_sample_value("pullsizer_hub_requests_left") == 2


async def test_nobody_but_the_hub_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_detect_agent, "_registry", None)  # as in a process that just began
    async with world(4) as found:
        found.want(model(1))
        await found.until(lambda: found.told)
        assert REGISTRY.get_sample_value("pullsizer_hub_requests_left") == 3


@pytest.mark.parametrize("filters", [("*.json",), ()])
async def test_one_model_costs_one_request_whoever_asks_and_with_whichever_filters(filters: tuple[str, ...]) -> None:
    async with world(2) as found:
        for number in range(50):
            found.want(model(1), f"namespace-{number}", "a")
            found.want(Source(model(1).uri, allow=filters), f"namespace-{number}", "b")
        await found.until(lambda: len(found.told) >= 100)
        assert found.asked == ["1"]
        assert REGISTRY.get_sample_value("pullsizer_hub_requests_left") == 1
