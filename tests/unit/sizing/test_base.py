"""Where the values come from when nobody objects: the law, the tier table, the cluster-wide default."""

from __future__ import annotations

import pytest

from pullsizer.model import Failure, ModelFacts
from pullsizer.overrides import Overrides
from pullsizer.pod import Medium, Resources
from pullsizer.quantity import GI, MI, write
from pullsizer.sizing import decide
from tests.unit.sizing.examples import (
    DISK,
    HTTP,
    KSERVE_RESOURCES,
    LARGE,
    NO_ANSWER,
    ONE_FILE,
    SMALL,
    TIERS,
    asked,
    container,
    given,
    inputs,
    policy,
)

# -- the base ---------------------------------------------------------------------------------------------------------


def test_a_small_model_gets_what_the_law_says() -> None:
    found = decide(inputs(SMALL))
    assert found.resources == Resources(
        {"cpu": 100, "memory": 768 * MI, "ephemeral-storage": 288 * MI}, {"cpu": 1000, "memory": 896 * MI}
    )
    assert found.basis == "model"
    assert found.environment == {}
    assert found.reasons == ("200.0 MB, 5 files, largest 190.0 MB: hf_transfer holds 100 ranges of a file at once",)


def test_a_large_model_gets_more_of_all() -> None:
    found = decide(inputs(LARGE))
    assert [given(found, "limit", name) for name in ("cpu", "memory")] == ["2", "12Gi"]
    assert [given(found, "request", name) for name in ("cpu", "memory", DISK)] == ["500m", "9728Mi", "60160Mi"]


def test_the_same_bytes_over_http_need_little() -> None:
    found = decide(inputs(LARGE, container=HTTP))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["64Mi", "96Mi"]


@pytest.mark.parametrize(
    ("knowledge", "why"),
    [
        ((None,), "there was no answer yet"),
        ((NO_ANSWER,), "the Hub knows no such model"),
        ((SMALL, NO_ANSWER), "the Hub knows no such model"),
        ((SMALL, None), "there was no answer yet"),
    ],
)
def test_a_model_of_unknown_size_gets_what_the_policy_gives_all(
    knowledge: tuple[ModelFacts | Failure | None, ...], why: str
) -> None:
    found = decide(inputs(*knowledge))
    assert found.resources == Resources({"cpu": 250, "memory": GI}, {"cpu": 2000, "memory": 4 * GI})
    assert found.basis == "default"
    assert found.reasons == (f"size not known ({why}): modelPullResources",)


def test_a_policy_of_requests_only_raises_a_limit_of_kserves_that_is_below() -> None:
    found = decide(inputs(None, policy=policy(modelPullResources={"requests": {"memory": "4Gi"}})))
    assert found.resources == Resources({"cpu": 100, "memory": 4 * GI}, {"cpu": 1000, "memory": 4 * GI})


def test_a_policy_of_limits_only_lowers_a_request_of_kserves_that_is_above() -> None:
    found = decide(inputs(None, policy=policy(modelPullResources={"limits": {"memory": "64Mi"}})))
    assert found.resources == Resources({"cpu": 100, "memory": 64 * MI}, {"cpu": 1000, "memory": 64 * MI})


def test_a_limit_where_there_is_no_request_is_the_request_as_the_api_server_has_it() -> None:
    chosen = policy(modelPullResources={"limits": {"memory": "2Gi"}})
    found = decide(inputs(None, policy=chosen, current=Resources()))
    assert found.resources == Resources({"memory": 2 * GI}, {"memory": 2 * GI})


def test_several_sources_add_up_on_disk_and_not_in_memory() -> None:
    both = container("hf://a/b", "https://example.com/adapter.bin")
    found = decide(inputs(SMALL, LARGE, container=both))
    alone = decide(inputs(SMALL))
    assert given(found, "limit", "memory") == given(alone, "limit", "memory")
    assert given(found, "request", DISK) == "59Gi"


# -- tiers ------------------------------------------------------------------------------------------------------------


def test_the_first_tier_that_is_large_enough_counts() -> None:
    found = decide(inputs(SMALL, policy=TIERS))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["1Gi", "2Gi"]
    assert given(found, "limit", "cpu") == "1"  # what a tier does not name is computed
    assert found.basis == "tier"
    assert "the administrator's tier for models of this size" in found.reasons


def test_a_model_of_exactly_a_tiers_size_is_in_it() -> None:
    edge = ModelFacts(bytes=10**9, files=1, largest=10**9)
    assert given(decide(inputs(edge, policy=TIERS)), "limit", "memory") == "2Gi"


def test_a_tiers_request_above_the_computed_limit_raises_it() -> None:
    found = decide(inputs(ONE_FILE, policy=TIERS))
    assert [given(found, side, "cpu") for side in ("request", "limit")] == ["3", "3"]


def test_the_last_tier_is_for_all_that_is_larger() -> None:
    found = decide(inputs(LARGE, policy=TIERS))
    assert [given(found, "limit", name) for name in ("cpu", "memory")] == ["8", "64Gi"]
    assert given(found, "request", DISK) == "1Ti"


def test_above_a_table_without_a_last_row_the_computed_values_count() -> None:
    chosen = policy(tiers=[{"upTo": "1Gi", "limits": {"memory": "64Mi"}}])
    assert decide(inputs(LARGE, policy=chosen)).basis == "model"


def test_a_model_of_unknown_size_is_in_no_tier() -> None:
    assert decide(inputs(None, policy=TIERS)).basis == "default"


# -- in words ---------------------------------------------------------------------------------------------------------


def test_nothing_asked_for_is_no_annotation() -> None:
    assert decide(inputs(SMALL, overrides=Overrides(mode="Auto"))).basis == "model"
    assert decide(inputs(SMALL, current=KSERVE_RESOURCES)) == decide(inputs(SMALL))


def test_a_model_size_of_an_archive_is_one_of_the_archive() -> None:
    known = ModelFacts(6 * GI, 1, 6 * GI, "tar.gz", unpacked=8 * GI)
    https = container("https://example.com/model.tar.gz")
    same = decide(inputs(known, container=https, overrides=asked(model_size="6Gi")))
    twice = decide(inputs(known, container=https, overrides=asked(model_size="12Gi")))
    assert given(same, "request", DISK) == given(decide(inputs(known, container=https)), "request", DISK)
    assert given(twice, "request", DISK) == "34560Mi"


@pytest.mark.parametrize("medium", ["disk", "memory"])
def test_whatever_somebody_says_a_model_has_is_an_answer(medium: Medium) -> None:
    found = decide(inputs(SMALL, container=container(medium=medium), overrides=Overrides(model_size=9 * 10**18)))
    assert found.resources is not None
    assert all(write(amount, name) for name, amount in found.resources.requests.items())
