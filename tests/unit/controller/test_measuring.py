from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pullsizer.account import NOBODY
from pullsizer.controller import asking, slots
from pullsizer.controller.questions import Waiter
from pullsizer.errors import MeasureError
from pullsizer.model import Failure, ModelFacts, Source
from pullsizer.modelpull import Measurement, source_key
from pullsizer.policy import Policy, SourceRules
from pullsizer.sources.access import STRANGER, Access
from tests.unit.controller.examples import FACTS, Hub, refused
from tests.unit.controller.measuring_world import BERT, world

ONE, TWO, OTHER = Waiter("models", "one"), Waiter("models", "two"), Waiter("other", "three")


@pytest.fixture
def hub() -> Hub:
    return Hub()


def token_policy(**more: object) -> Policy:
    token = {"secretName": "hub", "namespaces": ["models"]}
    return Policy.model_validate({"sources": {"huggingFace": {"token": token, **more}}})


async def test_a_source_is_measured_once_for_all_who_wait(hub: Hub) -> None:
    async with world(hub) as found:
        for waiter in (ONE, TWO, OTHER):
            found.measuring.want(waiter, [BERT])
        assert (await found.answer()).knowledge == FACTS
        assert found.measuring.answer("other", BERT) == found.measuring.answer("models", BERT)
    assert hub.asked == [BERT.uri]
    assert sorted(found.told) == sorted([ONE, TWO, OTHER])


async def test_filters_make_another_question(hub: Hub) -> None:
    async with world(hub) as found:
        found.measuring.want(ONE, [BERT, replace(BERT, allow=("*.json",))])
        await found.until(lambda: len(hub.asked) == 2)


async def test_a_failure_is_an_answer_with_its_reason_and_when_it_is_tried_again(hub: Hub) -> None:
    hub.answers[BERT.uri] = refused("NotFound", 900)
    async with world(hub) as found:
        found.measuring.want(ONE, [BERT])
        answer = await found.answer()
    assert answer.knowledge == Failure("NotFound", "NotFound it is", 900)


async def test_failures_are_tried_again_later_and_later(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_FIRST_RETRY", 0.01)
    hub.answers[BERT.uri] = refused("SourceUnavailable", 0)
    async with world(hub) as found:
        found.measuring.want(ONE, [BERT])
        await found.until(lambda: len(hub.asked) >= 3)
        answer = await found.answer()
        assert isinstance(answer.knowledge, Failure)
        assert answer.knowledge.retry_after >= 0.02
        del hub.answers[BERT.uri]
        await found.until(lambda: isinstance((found.measuring.answer("models", BERT) or answer).knowledge, ModelFacts))


async def test_a_bug_of_ours_is_a_failure_and_not_the_end(hub: Hub) -> None:
    hub.answers[BERT.uri] = RuntimeError("oh")
    async with world(hub) as found:
        found.measuring.want(ONE, [BERT, Source("hf://org/other")])
        answer = await found.answer()
        assert isinstance(answer.knowledge, Failure)
        assert answer.knowledge.reason == "InternalError"
        assert "oh" not in answer.knowledge.message
        assert (await found.answer(source=Source("hf://org/other"))).knowledge == FACTS


async def test_new_models_come_before_those_to_be_refreshed(hub: Hub) -> None:
    policy = Policy.model_validate({"refreshAfter": "60s"})
    async with world(hub, concurrency=1, policy=policy) as found:
        hub.hold["hf://org/first"] = asyncio.Event()
        found.measuring.want(ONE, [Source("hf://org/first")])
        await found.until(lambda: hub.asked)
        found.measuring.seed("models", source_key(BERT), Measurement(FACTS, 0))
        found.measuring.want(TWO, [BERT])  # long due
        await asyncio.sleep(0.02)
        found.measuring.want(OTHER, [Source("hf://org/new")])
        hub.same = False
        hub.hold["hf://org/first"].set()
        await found.until(lambda: len(hub.asked) == 3)
    assert hub.asked == ["hf://org/first", "hf://org/new", BERT.uri]


async def test_what_an_earlier_process_measured_is_not_measured_again_while_it_is_fresh(hub: Hub) -> None:
    async with world(hub) as found:
        found.measuring.seed("models", source_key(BERT), Measurement(FACTS, found.now - 60))
        found.measuring.want(ONE, [BERT])
        assert found.measuring.answer("models", BERT) == Measurement(FACTS, found.now - 60)
        await asyncio.sleep(0.05)
    assert hub.asked == []


async def test_an_old_measurement_is_asked_about_cheaply(hub: Hub) -> None:
    async with world(hub) as found:
        found.measuring.seed("models", source_key(BERT), Measurement(FACTS, 0))
        found.measuring.want(ONE, [BERT])
        await found.until(lambda: found.told)
        assert (await found.answer()) == Measurement(FACTS, found.now)
    assert hub.checked[BERT.uri] == 1
    assert hub.asked == []


async def test_a_model_that_changed_is_measured_again(hub: Hub) -> None:
    hub.same = False
    hub.answers[BERT.uri] = changed = replace(FACTS, bytes=1, revision="r2")
    async with world(hub) as found:
        found.measuring.seed("models", source_key(BERT), Measurement(FACTS, 0))
        found.measuring.want(ONE, [BERT])
        await found.until(lambda: found.told)
        assert (await found.answer()).knowledge == changed


async def test_a_refresh_that_fails_leaves_what_is_known(hub: Hub) -> None:
    hub.answers[BERT.uri] = refused("SourceUnavailable", 60)
    async with world(hub) as found:
        found.measuring.seed("models", source_key(BERT), Measurement(FACTS, 0))
        found.measuring.want(ONE, [BERT])
        await found.until(lambda: hub.checked[BERT.uri])
        await asyncio.sleep(0.02)
        assert (await found.answer()) == Measurement(FACTS, 0)
        assert found.told == []


async def test_nobody_is_asked_for_those_who_went_away(hub: Hub) -> None:
    async with world(hub) as found:
        found.measuring.seed("models", source_key(BERT), Measurement(FACTS, 0))
        found.measuring.want(ONE, [BERT])
        found.measuring.forget(ONE)
        await asyncio.sleep(0.05)
        assert found.measuring._questions == {}
    assert not hub.checked


class TestTokens:
    async def test_strangers_are_asked_first_and_public_models_never_see_a_token(self, hub: Hub) -> None:
        async with world(hub, policy=token_policy()) as found:
            found.measuring.want(ONE, [BERT])
            assert (await found.answer()).scope == "anonymous"
        assert hub.tokens == [None]

    async def test_what_a_token_opens_stays_in_its_namespace(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        hub.with_token[BERT.uri] = FACTS
        async with world(hub, policy=token_policy()) as found:
            found.measuring.want(ONE, [BERT])
            found.measuring.want(OTHER, [BERT])
            mine, theirs = await found.answer(), await found.answer("other")
        assert mine.knowledge == FACTS
        assert mine.scope == "models/uid/7"
        assert isinstance(theirs.knowledge, Failure)
        assert hub.tokens == [None, "hf_token"]

    async def test_until_the_token_was_tried_there_is_no_answer(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        async with world(hub, policy=token_policy()) as found:
            found.measuring.want(OTHER, [BERT])
            await found.answer("other")
            assert found.measuring.answer("models", BERT) is None
            found.measuring.want(ONE, [BERT])
            assert isinstance((await found.answer()).knowledge, ModelFacts)

    async def test_a_missing_secret_is_a_reason_of_its_own(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        async with world(hub, policy=token_policy()) as found:
            found.secrets[NOBODY] = MeasureError("SecretNotFound", "there is no Secret", 60)
            found.measuring.want(ONE, [BERT])
            answer = await found.answer()
        assert answer.knowledge == Failure("SecretNotFound", "there is no Secret", 60)

    async def test_a_token_is_never_for_anything_but_the_hub(self, hub: Hub) -> None:
        web = Source("https://example.com/model.zip")
        hub.answers[web.uri] = refused()
        async with world(hub, policy=token_policy()) as found:
            found.measuring.want(ONE, [web])
            assert isinstance((await found.answer(source=web)).knowledge, Failure)
        assert hub.tokens == [None]

    async def test_a_seed_with_another_namespaces_scope_is_not_taken(self, hub: Hub) -> None:
        async with world(hub, policy=token_policy()) as found:
            found.measuring.seed("other", source_key(BERT), Measurement(FACTS, found.now, "models/uid/7"))
            found.measuring.want(OTHER, [BERT])
            await found.answer("other")
        assert hub.asked == [BERT.uri]

    async def test_another_version_of_the_secret_is_another_scope_and_is_measured_anew(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        hub.with_token[BERT.uri] = FACTS
        async with world(hub, policy=token_policy()) as found:
            found.measuring.seed("models", source_key(BERT), Measurement(FACTS, 0, "models/uid/6"))
            found.measuring.want(ONE, [BERT])
            await found.until(lambda: (found.measuring.answer("models", BERT) or Measurement(FACTS, 0)).measured_at > 0)
            assert (await found.answer()).scope == "models/uid/7"
        assert not hub.checked


class TestPolicies:
    async def test_another_policy_asks_failures_again_at_once(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused("AddressNotAllowed", 3600)
        async with world(hub) as found:
            found.measuring.want(ONE, [BERT])
            await found.answer()
            del hub.answers[BERT.uri]
            found.measuring.set_policy(Policy.model_validate({"sources": {"allowCIDRs": ["10.0.0.0/8"]}}))
            await found.until(lambda: isinstance((found.measuring.answer("models", BERT)).knowledge, ModelFacts))  # type: ignore[union-attr]

    async def test_facts_of_one_hub_are_not_those_of_another(self, hub: Hub) -> None:
        async with world(hub) as found:
            found.measuring.want(ONE, [BERT])
            await found.answer()
            endpoint = {"sources": {"huggingFace": {"endpoint": "https://mirror.example.com"}}}
            found.measuring.set_policy(Policy.model_validate(endpoint))
            assert found.measuring.answer("models", BERT) is None
            await found.answer()
        assert len(hub.asked) == 2

    async def test_an_answer_by_rules_that_changed_meanwhile_does_not_count(self, hub: Hub) -> None:
        hub.hold[BERT.uri] = asyncio.Event()
        async with world(hub) as found:
            found.measuring.want(ONE, [BERT])
            await found.until(lambda: hub.asked)
            found.measuring.set_policy(Policy.model_validate({"sources": {"allowCIDRs": ["10.0.0.0/8"]}}))
            hub.hold[BERT.uri].set()
            await found.answer()
        assert len(hub.asked) == 2

    async def test_a_hub_that_was_another_while_a_refresh_failed_is_asked_anew(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused("SourceUnavailable", 60)
        unchanged, waiting, go = hub.unchanged, asyncio.Event(), asyncio.Event()

        async def held(source: Source, facts: ModelFacts, *, access: Access = STRANGER, rules: SourceRules) -> bool:
            waiting.set()
            await go.wait()
            return await unchanged(source, facts, access=access, rules=rules)

        hub.unchanged = held  # type: ignore[method-assign]
        async with world(hub) as found:
            found.measuring.seed("models", source_key(BERT), Measurement(FACTS, 0))
            found.measuring.want(ONE, [BERT])
            await waiting.wait()
            elsewhere = {"sources": {"huggingFace": {"endpoint": "https://mirror.example.com"}}}
            found.measuring.set_policy(Policy.model_validate(elsewhere))
            found.measuring.set_policy(Policy())
            go.set()
            await found.until(lambda: hub.asked)
            assert isinstance((await found.answer()).knowledge, Failure)


class TestSlowSources:
    async def test_a_slow_source_holds_nobody_up_for_long(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(slots, "PATIENCE", 0.02)
        async with world(hub, concurrency=1) as found:
            hub.hold["https://tarpit/1"] = asyncio.Event()
            found.measuring.want(OTHER, [Source("https://tarpit/1")])
            found.measuring.want(ONE, [BERT])
            await found.answer()

    async def test_a_namespace_full_of_slow_sources_waits_for_them_and_others_do_not(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(slots, "PATIENCE", 0.01)
        monkeypatch.setattr(slots, "SLOW_OF_ONE", 3)
        tarpits = [Source(f"https://tarpit/{number}") for number in range(20)]
        hub.hold.update((source.uri, asyncio.Event()) for source in tarpits)
        async with world(hub, concurrency=1) as found:
            found.measuring.want(OTHER, tarpits)
            await found.until(lambda: len(hub.asked) == 3)
            await asyncio.sleep(0.05)
            found.measuring.want(ONE, [BERT])
            await found.answer()
            assert len(hub.asked) == 4
            for event in hub.hold.values():
                event.set()
            await found.until(lambda: len(hub.asked) == 21)
