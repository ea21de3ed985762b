"""Whose word is asked on, and whose the answer is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pullsizer.account import NOBODY, Account, Storage
from pullsizer.controller.credentials import endpoint_mark
from pullsizer.controller.questions import Waiter
from pullsizer.errors import MeasureError
from pullsizer.model import Failure, ModelFacts, Source
from pullsizer.modelpull import Measurement, source_key
from pullsizer.policy import Policy
from pullsizer.sources.access import Access
from tests.unit.controller.examples import FACTS, Hub, refused
from tests.unit.controller.measuring_world import BERT, World, world

ONE, TWO, OTHER = Waiter("models", "one"), Waiter("models", "two"), Waiter("other", "three")
TRAINER = Account(service_account="trainer")
BUCKET, MINIO = Source("s3://bucket/bert"), "http://minio:9000"
AT_MINIO = replace(BUCKET, endpoint=MINIO)


def allowed(*namespaces: str) -> Policy:
    return Policy.model_validate({"sources": {"credentials": {"namespaces": list(namespaces or ("models",))}}})


@pytest.fixture
def hub() -> Hub:
    return Hub()


def let_in(found: World, account: Account, version: int = 7) -> None:
    found.secrets[account] = Access(f"models/uid/{version}", {"HF_TOKEN": "hf_token"})


class TestAccounts:
    async def test_public_models_are_asked_about_without_credentials(self, hub: Hub) -> None:
        async with world(hub, policy=allowed()) as found:
            found.measuring.want(ONE, [BERT])
            assert (await found.answer()).scope == "anonymous"
        assert hub.tokens == [None]

    async def test_who_is_refused_is_no_reason_to_refuse_another_of_the_namespace(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        hub.with_token[BERT.uri] = FACTS
        async with world(hub, policy=allowed()) as found:
            found.secrets = {}
            found.measuring.want(ONE, [BERT], TRAINER)
            assert isinstance((await found.answer(account=TRAINER)).knowledge, Failure)
            let_in(found, NOBODY)
            found.measuring.want(TWO, [BERT])
            assert (await found.answer()).knowledge == FACTS

    async def test_what_one_account_may_know_all_of_its_namespace_may(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        hub.with_token[BERT.uri] = FACTS
        async with world(hub, policy=allowed()) as found:
            found.secrets = {}
            found.measuring.want(ONE, [BERT], TRAINER)
            await found.answer(account=TRAINER)
            let_in(found, NOBODY)
            found.measuring.want(TWO, [BERT])
            await found.answer()
            assert (await found.answer(account=TRAINER)).knowledge == FACTS
            assert found.told.count(ONE) == 3  # strangers, itself, and the other

    async def test_no_other_namespace_learns_of_it(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        hub.with_token[BERT.uri] = FACTS
        async with world(hub, policy=allowed("models", "other")) as found:
            found.secrets = {}
            let_in(found, TRAINER)
            found.measuring.want(ONE, [BERT], TRAINER)
            assert (await found.answer(account=TRAINER)).knowledge == FACTS
            found.measuring.want(OTHER, [BERT])
            assert isinstance((await found.answer("other")).knowledge, Failure)

    async def test_equal_questions_of_one_account_are_one(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        hub.with_token[BERT.uri] = FACTS
        async with world(hub, policy=allowed()) as found:
            for waiter in (ONE, TWO):
                found.measuring.want(waiter, [BERT])
            await found.answer()
        assert hub.tokens == [None, "hf_token"]

    async def test_who_has_no_credentials_is_told_so_and_not_asked_for_again(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        async with world(hub, policy=allowed()) as found:
            found.secrets = {}
            found.measuring.want(ONE, [BERT])
            answer = await found.answer()
        assert answer.knowledge == Failure("NoCredentials", "nothing to ask with", 900)
        assert hub.tokens == [None]

    async def test_that_is_no_remedy_for_a_model_that_is_not_there(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused("NotFound")
        async with world(hub, policy=allowed()) as found:
            found.secrets = {}
            found.measuring.want(ONE, [BERT])
            answer = await found.answer()
        assert isinstance(answer.knowledge, Failure)
        assert answer.knowledge.reason == "NotFound"

    async def test_no_credentials_are_tried_where_it_was_not_for_want_of_them(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused("AddressNotAllowed")
        async with world(hub, policy=allowed()) as found:
            found.measuring.want(ONE, [BERT])
            await found.answer()
        assert hub.tokens == [None]

    async def test_a_refusal_to_a_secret_names_it(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = hub.with_token[BERT.uri] = refused()
        async with world(hub, policy=allowed()) as found:
            found.measuring.want(ONE, [BERT])
            answer = await found.answer()
        assert isinstance(answer.knowledge, Failure)
        assert answer.knowledge.message == "nothing to ask with"

    async def test_a_secret_that_cannot_be_read_is_no_news_for_others(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        async with world(hub, policy=allowed()) as found:
            found.secrets[NOBODY] = MeasureError("SecretForbidden", "may not", 60)
            found.measuring.want(ONE, [BERT])
            assert (await found.answer()).scope == "models/"


class TestEndpoints:
    async def test_at_a_users_endpoint_it_is_asked_on_behalf_of_the_namespace_alone(self, hub: Hub) -> None:
        async with world(hub) as found:
            found.measuring.want(ONE, [AT_MINIO])
            mine = await found.answer(source=AT_MINIO)
            assert mine.scope.startswith("models/@")
            found.measuring.want(OTHER, [BUCKET])
            assert (await found.answer("other", BUCKET)).scope == "anonymous"
        assert hub.endpoints == [MINIO, ""]

    async def test_two_namespaces_two_endpoints_and_one_uri_are_two_answers(self, hub: Hub) -> None:
        theirs = replace(BUCKET, endpoint="http://other:9000")
        hub.at["http://other:9000"] = refused("NotFound")
        async with world(hub) as found:
            found.measuring.want(ONE, [AT_MINIO])
            found.measuring.want(OTHER, [theirs])
            assert isinstance((await found.answer("other", theirs)).knowledge, Failure)
            assert (await found.answer(source=AT_MINIO)).knowledge == FACTS
            assert found.measuring.answer("other", AT_MINIO) is None

    async def test_where_a_secret_may_name_the_endpoint_strangers_do_not_ask_elsewhere_first(self, hub: Hub) -> None:
        async with world(hub, policy=allowed()) as found:
            found.endpoint = MINIO
            found.measuring.want(ONE, [BUCKET])
            await found.answer(source=BUCKET)
        assert hub.endpoints == [MINIO]

    async def test_what_a_secret_named_is_what_the_pod_shows_then(self, hub: Hub) -> None:
        async with world(hub, policy=allowed()) as found:
            found.endpoint = MINIO
            found.measuring.want(ONE, [BUCKET])
            await found.until(lambda: found.told)
            found.measuring.want(ONE, [AT_MINIO], TRAINER)
            assert found.measuring.answer("models", AT_MINIO, TRAINER) is not None
        assert hub.endpoints == [MINIO]

    async def test_a_storage_is_never_looked_for_by_strangers(self, hub: Hub) -> None:
        account = Account(storage=Storage("minio"))
        async with world(hub) as found:
            found.measuring.want(ONE, [BUCKET], account)
            await found.answer(source=BUCKET, account=account)
            found.measuring.want(OTHER, [BUCKET])
            await found.answer("other", BUCKET)
        assert len(hub.asked) == 2

    async def test_another_default_endpoint_is_another_store(self, hub: Hub) -> None:
        async with world(hub) as found:
            found.measuring.want(ONE, [BUCKET])
            await found.answer(source=BUCKET)
            found.measuring.set_policy(Policy.model_validate({"sources": {"s3": {"endpoint": MINIO}}}))
            assert found.measuring.answer("models", BUCKET) is None
            await found.answer(source=BUCKET)


class TestRestarts:
    async def test_a_namespaces_own_facts_are_not_asked_for_again(self, hub: Hub) -> None:
        async with world(hub, policy=allowed()) as found:
            seed = Measurement(FACTS, found.now, "models/uid/7@0123456789ab")
            found.measuring.seed("models", source_key(BUCKET), seed)
            found.measuring.want(ONE, [BUCKET])
            assert found.measuring.answer("models", BUCKET) == seed
        assert hub.asked == []

    async def test_nor_when_a_pod_shows_the_endpoint_that_a_secret_named(self, hub: Hub) -> None:
        async with world(hub, policy=allowed()) as found:
            seed = Measurement(FACTS, found.now, f"models/uid/7{endpoint_mark(MINIO)}")
            found.measuring.seed("models", source_key(BUCKET), seed)
            found.measuring.want(ONE, [BUCKET])
            found.measuring.want(ONE, [AT_MINIO], TRAINER)
            assert found.measuring.answer("models", AT_MINIO, TRAINER) == seed
        assert hub.asked == []

    async def test_nor_are_facts_that_it_learnt_as_a_stranger(self, hub: Hub) -> None:
        async with world(hub, policy=allowed()) as found:
            found.measuring.seed("models", source_key(BUCKET), Measurement(FACTS, found.now))
            found.measuring.want(ONE, [BUCKET])
            assert found.measuring.answer("models", BUCKET) is not None
        assert hub.asked == []

    async def test_facts_of_another_endpoint_are_not_taken(self, hub: Hub) -> None:
        async with world(hub) as found:
            found.measuring.seed("models", source_key(BUCKET), Measurement(FACTS, 0, "models/@0123456789ab"))
            found.measuring.want(ONE, [AT_MINIO])
            assert (await found.answer(source=AT_MINIO)).measured_at > 0

    async def test_a_failure_of_some_account_is_nobodys(self, hub: Hub) -> None:
        failure = Failure("SecretForbidden", "may not", 60)
        async with world(hub) as found:
            found.measuring.seed("models", source_key(AT_MINIO), Measurement(failure, found.now, "models/"))
            found.measuring.want(ONE, [AT_MINIO])
            assert (await found.answer(source=AT_MINIO)).knowledge == FACTS


class TestPolicies:
    async def test_a_namespace_that_is_listed_is_asked_for_at_once(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        hub.with_token[BERT.uri] = FACTS
        async with world(hub) as found:
            found.measuring.want(ONE, [BERT])
            await found.answer()
            found.measuring.set_policy(allowed())
            await found.until(lambda: _facts(found.measuring.answer("models", BERT)))

    async def test_what_a_namespace_may_not_ask_any_more_it_does_not_know_any_more(self, hub: Hub) -> None:
        hub.answers[BERT.uri] = refused()
        hub.with_token[BERT.uri] = FACTS
        async with world(hub, policy=allowed()) as found:
            found.measuring.want(ONE, [BERT])
            await found.until(lambda: _facts(found.measuring.answer("models", BERT)))
            found.measuring.set_policy(Policy())
            assert not _facts(found.measuring.answer("models", BERT))


def _facts(answer: Measurement | None) -> bool:
    return answer is not None and isinstance(answer.knowledge, ModelFacts)
