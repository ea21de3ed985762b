"""What admission knows: by namespace, the best first, and nothing of what is gone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.admission.caches import Caches
from pullsizer.kserve import DEFAULT as KSERVE_DEFAULT
from pullsizer.model import Failure, Knowledge, ModelFacts, Source
from pullsizer.modelpull import Measurement, model_status, source_key
from pullsizer.overrides import NONE, Overrides
from pullsizer.policy import DEFAULT
from pullsizer.quantity import GI

Json = dict[str, Any]
SOURCE = Source("hf://a/b")
KEY = source_key(SOURCE)
OLD, NEW = ModelFacts(1, 1, 1), ModelFacts(2, 1, 2)
FAILED = Failure("NotFound", "no such model", 300)
SERVICE = ("team-a", "LLMInferenceService", "llama")


def model_pull(
    *known: tuple[Knowledge, float],
    name: str = "pull",
    namespace: str = "team-a",
    overrides: dict[str, str] | None = None,
    source: Source = SOURCE,
) -> Json:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"serviceRef": {"kind": "LLMInferenceService", "name": "llama"}, "overrides": overrides or {}},
        "status": {"models": [model_status(source, Measurement(knowledge, at)) for knowledge, at in known]},
    }


def test_facts_are_found_in_their_namespace_and_in_no_other() -> None:
    caches = Caches()
    caches.put_model_pull(model_pull((OLD, 1)))
    assert caches.knowledge("team-a", KEY) == OLD
    assert caches.knowledge("team-b", KEY) is None
    assert caches.knowledge("team-a", source_key(Source("hf://a/b", ("*.json",)))) is None


def test_of_several_facts_the_newest_counts() -> None:
    caches = Caches()
    caches.put_model_pull(model_pull((NEW, 2), name="x"))
    caches.put_model_pull(model_pull((OLD, 1), name="y"))
    assert caches.knowledge("team-a", KEY) == NEW


def test_facts_count_before_failures_however_new() -> None:
    caches = Caches()
    caches.put_model_pull(model_pull((FAILED, 9), name="x"))
    assert caches.knowledge("team-a", KEY) == FAILED
    caches.put_model_pull(model_pull((OLD, 1), name="y"))
    assert caches.knowledge("team-a", KEY) == OLD


def test_what_another_service_was_told_as_whom_it_asked_is_no_answer() -> None:
    caches = Caches()
    item = model_pull()
    item["status"]["models"] = [model_status(SOURCE, Measurement(FAILED, 9, "team-a/"))]
    caches.put_model_pull(item)
    other = ("team-a", "InferenceService", "bert")
    assert caches.knowledge("team-a", KEY, SERVICE) == FAILED
    assert caches.knowledge("team-a", KEY, other) is None
    caches.put_model_pull(model_pull((FAILED, 1)))  # as strangers are told
    assert caches.knowledge("team-a", KEY, other) == FAILED


def test_of_two_answers_a_services_own_counts_for_it() -> None:
    caches = Caches()
    caches.put_model_pull(model_pull((OLD, 1)))
    item = model_pull((NEW, 2), name="theirs")
    item["spec"]["serviceRef"] = {"kind": "InferenceService", "name": "bert"}
    caches.put_model_pull(item)
    assert caches.knowledge("team-a", KEY, SERVICE) == OLD
    assert caches.knowledge("team-a", KEY, ("team-a", "InferenceService", "bert")) == NEW


def test_a_changed_model_pull_replaces_what_it_said_before() -> None:
    caches = Caches()
    caches.put_model_pull(model_pull((OLD, 1)))
    caches.put_model_pull(model_pull((FAILED, 2)))
    assert caches.knowledge("team-a", KEY) == FAILED
    caches.put_model_pull(model_pull())
    assert caches.knowledge("team-a", KEY) is None


def test_whoever_waits_is_told_of_every_model_pull() -> None:
    caches, told = Caches(), []
    caches.on_knowledge.append(lambda: told.append(caches.knowledge("team-a", KEY)))
    caches.put_model_pull(model_pull())
    caches.put_model_pull(model_pull((OLD, 1)))
    assert told == [None, OLD]


def test_the_overrides_of_a_service_come_with_any_of_its_model_pulls() -> None:
    caches = Caches()
    assert not caches.knows_service(SERVICE)
    caches.put_model_pull(model_pull(name="x"))
    assert caches.knows_service(SERVICE)
    assert caches.service_overrides(SERVICE) == NONE
    caches.put_model_pull(
        model_pull(name="y", overrides={"pullsizer.dev/memory-limit": "2Gi", "pullsizer.dev/mode": "?"})
    )
    assert caches.service_overrides(SERVICE) == Overrides(limits={"memory": 2 * GI})
    assert not caches.knows_service(("team-b", "LLMInferenceService", "llama"))


ITEM = st.builds(
    model_pull,
    st.tuples(st.sampled_from([OLD, NEW, FAILED]), st.integers(1, 5)),
    name=st.sampled_from(["a", "b", "c"]),
    namespace=st.sampled_from(["team-a", "team-b"]),
    source=st.sampled_from([SOURCE, Source("s3://x")]),
    overrides=st.sampled_from([{}, {"pullsizer.dev/mode": "Auto"}]),
)


@given(st.lists(st.tuples(ITEM, st.booleans()), max_size=12))
def test_what_was_removed_leaves_nothing_behind(steps: list[tuple[Json, bool]]) -> None:
    caches = Caches()
    there: dict[tuple[str, str], Json] = {}
    for item, put in steps:
        identity = (item["metadata"]["namespace"], item["metadata"]["name"])
        if put:
            caches.put_model_pull(item)
            there[identity] = item
        else:
            caches.remove_model_pull(item)
            there.pop(identity, None)
    fresh = Caches()
    for item in there.values():
        fresh.put_model_pull(item)
    for namespace in ("team-a", "team-b"):
        for source in (SOURCE, Source("s3://x")):
            # two of the same age may stand in either order
            one, other = (each.knowledge(namespace, source_key(source)) for each in (caches, fresh))
            assert type(one) is type(other)
        service = (namespace, "LLMInferenceService", "llama")
        assert caches.knows_service(service) == fresh.knows_service(service)
        assert bool(caches.service_overrides(service)) == bool(fresh.service_overrides(service))
    for item in there.values():
        caches.remove_model_pull(item)
    assert (caches._pulls, dict(caches._by_source), dict(caches._by_service)) == ({}, {}, {})


def accepted(text: str, **data: str) -> Json:
    return {"data": {"config.yaml": text, **data}}


def test_without_an_accepted_policy_the_built_in_one_recommends() -> None:
    caches = Caches()
    assert (caches.policy, caches.policy_digest, caches.accepted) == (DEFAULT, "built-in", False)


def test_an_accepted_policy_counts_until_it_is_removed() -> None:
    caches = Caches()
    caches.put_accepted(accepted("mode: Auto", **{"largest-ephemeral-storage": "100Gi", "largest-memory": "8Gi"}))
    assert (caches.policy.mode, caches.accepted, caches.node_disk, caches.node_memory) == (
        "Auto",
        True,
        100 * GI,
        8 * GI,
    )
    assert caches.policy_digest != "built-in"
    caches.remove_accepted({})
    assert (caches.policy, caches.policy_digest, caches.accepted, caches.node_disk) == (
        DEFAULT,
        "built-in",
        False,
        None,
    )


def test_a_policy_that_this_version_cannot_read_leaves_the_last_in_place() -> None:
    caches = Caches()
    caches.put_accepted(accepted("mode: Disabled"))
    digest = caches.policy_digest
    caches.put_accepted(accepted("mode: Turbo\nnewKey: 1"))
    assert (caches.policy.mode, caches.policy_digest) == ("Disabled", digest)


@pytest.mark.parametrize("text", ["", "lots"])
def test_a_node_of_no_known_size_is_none(text: str) -> None:
    caches = Caches()
    caches.put_accepted(accepted("mode: Auto", **{"largest-ephemeral-storage": text}))
    assert caches.node_disk is None


def test_kserves_configuration_is_that_of_both_its_objects_as_they_come_and_go() -> None:
    caches = Caches()
    configmap = {"data": {"storageInitializer": '{"memoryLimit": "24Gi"}'}}
    container = {"metadata": {"name": "own"}, "spec": {"container": {"name": "fetch"}}}
    caches.put_kserve_configmap(configmap)
    caches.put_storage_container(container)
    assert caches.kserve.containers == {"storage-initializer", "fetch"}
    assert ("memory", "limit", 24 * GI) in caches.kserve.defaults
    caches.remove_kserve_configmap(configmap)
    assert ("memory", "limit", 24 * GI) not in caches.kserve.defaults
    caches.remove_storage_container(container)
    assert caches.kserve == KSERVE_DEFAULT


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lease(renewed: str, holder: str | None = "me", seconds: int | None = 15) -> Json:
    return {"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": seconds}}


def test_a_controller_is_alive_while_its_lease_changes() -> None:
    clock = Clock()
    caches = Caches(clock)
    assert not caches.controller_alive()
    caches.put_lease(lease("1999-01-01T00:00:00Z"))  # another node's clock may say anything
    assert caches.controller_alive()
    clock.now += 14
    assert caches.controller_alive()
    caches.put_lease(lease("1999-01-01T00:00:01Z"))
    clock.now += 14
    assert caches.controller_alive()
    clock.now += 1
    assert not caches.controller_alive()


def test_a_lease_seen_again_unchanged_is_no_fresher() -> None:
    clock = Clock()
    caches = Caches(clock)
    caches.put_lease(lease("t"))
    clock.now += 15
    caches.put_lease(lease("t"))  # as a watch that begins anew tells it
    assert not caches.controller_alive()


@pytest.mark.parametrize("item", [lease("u", holder=""), lease("u", holder=None), {"spec": None}, {}])
def test_a_lease_that_nobody_holds_is_no_controller(item: Json) -> None:
    caches = Caches(Clock())
    caches.put_lease(lease("t"))
    caches.put_lease(item)
    assert not caches.controller_alive()


def test_a_lease_without_a_duration_is_never_fresh() -> None:
    caches = Caches(Clock())
    caches.put_lease(lease("t", seconds=None))
    assert not caches.controller_alive()


def test_a_removed_lease_is_no_controller() -> None:
    caches = Caches(Clock())
    caches.put_lease(lease("t"))
    caches.remove_lease({})
    assert not caches.controller_alive()
