"""What a pull container gets, and why: who is heard, and who wins where two clash."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pullsizer.kserve import KServe
from pullsizer.limits import NamespaceLimits
from pullsizer.model import Failure, ModelFacts
from pullsizer.names import EPHEMERAL_STORAGE
from pullsizer.overrides import Overrides
from pullsizer.pod import Resources
from pullsizer.quantity import GI, MI
from pullsizer.sizing import decide
from pullsizer.sizing.decide import total
from pullsizer.sizing.downloader import TUNED
from tests.unit.sizing.examples import (
    KSERVE_ENVIRONMENT,
    KSERVE_RESOURCES,
    LARGE,
    NO_ANSWER,
    ONE_FILE,
    SMALL,
    amounts,
    asked,
    container,
    given,
    inputs,
    policy,
)

HTTP = container("https://example.com/model.bin")
DISK = EPHEMERAL_STORAGE


# -- the base ---------------------------------------------------------------------------------------------------------


def test_a_small_model_gets_what_the_law_says() -> None:
    found = decide(inputs(SMALL))
    assert found.resources == Resources(
        {"cpu": 100, "memory": 768 * MI, "ephemeral-storage": 320 * MI}, {"cpu": 1000, "memory": 896 * MI}
    )
    assert found.basis == "model"
    assert found.environment == {}
    assert found.reasons == ("200.0 MB in 5 files, largest 190.0 MB: hf_transfer holds 100 ranges of a file at once",)


def test_a_large_model_gets_more_of_all() -> None:
    found = decide(inputs(LARGE))
    assert [given(found, "limit", name) for name in ("cpu", "memory")] == ["2", "12Gi"]
    assert [given(found, "request", name) for name in ("cpu", "memory", DISK)] == ["500m", "9728Mi", "60160Mi"]


def test_the_same_bytes_over_http_need_little() -> None:
    found = decide(inputs(LARGE, container=HTTP))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["64Mi", "128Mi"]


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

TIERS = policy(
    tiers=[
        {"upTo": "1G", "requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        {"upTo": "10G", "requests": {"cpu": "3"}},
        {"limits": {"memory": "64Gi", "cpu": "8"}, "requests": {"ephemeral-storage": "1Ti"}},
    ]
)


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


# -- annotations ------------------------------------------------------------------------------------------------------


def test_an_annotation_is_taken_exactly() -> None:
    wanted = asked(cpu_request="333m", cpu_limit="1777m", memory_request="1001Mi", memory_limit="5000Mi")
    found = decide(inputs(SMALL, overrides=wanted))
    assert [given(found, side, name) for name in ("cpu", "memory") for side in ("request", "limit")] == [
        "333m",
        "1777m",
        "1001Mi",
        "5000Mi",
    ]
    assert found.basis == "annotation"
    assert found.reasons[0] == (
        "set by annotation: cpu request 333m, memory request 1001Mi, cpu limit 1777m, memory limit 5000Mi"
    )


def test_an_annotated_limit_below_the_computed_request_lowers_the_request() -> None:
    found = decide(inputs(SMALL, overrides=asked(cpu_limit="50m")))
    assert [given(found, side, "cpu") for side in ("request", "limit")] == ["50m", "50m"]


def test_an_annotated_request_above_the_computed_limit_raises_the_limit() -> None:
    found = decide(inputs(SMALL, overrides=asked(memory_request="6Gi")))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["6Gi", "6Gi"]


def test_an_annotation_wins_over_a_tier() -> None:
    found = decide(inputs(SMALL, policy=TIERS, overrides=asked(memory_limit="3Gi")))
    assert given(found, "limit", "memory") == "3Gi"


def test_an_annotation_wins_over_what_a_person_set_on_the_container() -> None:
    current = amounts(memory_request="2Gi", memory_limit="8Gi", cpu_limit="4", cpu_request="4")
    found = decide(inputs(SMALL, current=current, overrides=asked(memory_limit="1Gi")))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["1Gi", "1Gi"]
    assert given(found, "limit", "cpu") == "4"


def test_an_annotated_request_wins_over_a_lower_limit_that_a_person_set() -> None:
    current = amounts(memory_request="1Gi", memory_limit="2Gi", ephemeral_storage_limit="3Gi")
    wanted = asked(memory_request="4Gi", ephemeral_storage_request="9Gi")
    found = decide(inputs(SMALL, current=current, overrides=wanted))
    assert given(found, "request", "memory") == "4Gi"
    assert given(found, "limit", "memory") == "4Gi"
    assert [given(found, side, DISK) for side in ("request", "limit")] == ["9Gi", "9Gi"]


def test_a_model_size_stands_in_for_what_nobody_knows() -> None:
    found = decide(inputs(None, overrides=asked(model_size="15Gi")))
    assert found.basis == "model"
    assert given(found, "request", DISK) == "16Gi"
    assert found.reasons[0].startswith("16.1 GB in 8 files, largest 10.0 GB: ")


def test_a_model_size_wins_over_what_was_measured_and_keeps_how_it_is_split() -> None:
    found = decide(inputs(LARGE, overrides=asked(model_size="1Gi")))
    assert found.reasons[0].startswith("1.1 GB in 20 files, largest 1.1 GB")


def test_a_model_size_with_several_sources_is_counted_once_by_the_hungriest_of_them() -> None:
    both = container("https://example.com/a.bin", "hf://a/b")
    found = decide(inputs(None, None, container=both, overrides=asked(model_size="20Gi")))
    assert given(found, "limit", "memory") == given(
        decide(inputs(None, overrides=asked(model_size="20Gi"))), "limit", "memory"
    )


def test_a_model_size_of_an_s3_model_is_not_taken_for_http() -> None:
    for size in ("1G", "50G"):  # in how many files nobody said: as many as are fetched at once
        found = decide(inputs(None, container=container("s3://bucket/model"), overrides=asked(model_size=size)))
        assert given(found, "limit", "memory") == "960Mi"


# -- what is on the container already ---------------------------------------------------------------------------------


def test_kserves_defaults_may_go_down() -> None:
    found = decide(inputs(SMALL, container=HTTP))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["64Mi", "128Mi"]
    assert not any("somebody" in reason for reason in found.reasons)


def test_defaults_of_a_changed_kserve_configuration_may_go_down_too() -> None:
    kserve = KServe(defaults=frozenset({("memory", "limit", 24 * GI), ("memory", "request", 2 * GI)}))
    current = amounts(memory_request="2Gi", memory_limit="24Gi")
    found = decide(inputs(SMALL, container=HTTP, current=current, kserve=kserve))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["64Mi", "128Mi"]


def test_values_that_the_limit_ranger_set_may_go_down() -> None:
    current = amounts(memory_request="2Gi", memory_limit="24Gi")
    by_plugin = frozenset({("memory", "request"), ("memory", "limit")})
    found = decide(inputs(SMALL, container=HTTP, current=current, limit_ranger=by_plugin))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["64Mi", "128Mi"]


def test_what_a_person_set_is_a_floor() -> None:
    current = amounts(cpu_request="300m", cpu_limit="3", memory_request="2Gi", memory_limit="24Gi")
    found = decide(inputs(SMALL, current=current))
    assert [given(found, side, name) for name in ("cpu", "memory") for side in ("request", "limit")] == [
        "300m",
        "3",
        "2Gi",
        "24Gi",
    ]
    assert "memory limit kept at 24Gi, which somebody set" in found.reasons
    assert found.basis == "model"


def test_what_a_person_set_is_no_ceiling() -> None:
    found = decide(inputs(LARGE, current=amounts(memory_request="600Mi", memory_limit="700Mi")))
    assert given(found, "limit", "memory") == "12Gi"


def test_a_persons_request_above_the_computed_limit_raises_the_limit() -> None:
    found = decide(inputs(SMALL, container=HTTP, current=amounts(memory_request="3Gi", memory_limit="4Gi")))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["3Gi", "4Gi"]
    only = decide(inputs(SMALL, container=HTTP, current=Resources({"memory": 3 * GI}, {})))
    assert [given(only, side, "memory") for side in ("request", "limit")] == ["3Gi", "3Gi"]


# -- who caps ---------------------------------------------------------------------------------------------------------

RANGE = NamespaceLimits(max={"memory": 3 * GI})
BOUNDS = policy(bounds={"max": {"memory": "4Gi"}})


@pytest.mark.parametrize(
    ("changes", "limit", "who"),
    [
        ({"policy": BOUNDS}, "4Gi", "bounds.max of pullsizer-config"),
        ({"limits": RANGE}, "3Gi", "the namespace's LimitRange"),
        ({"pod_level": amounts(memory_request="2Gi", memory_limit="5Gi")}, "5Gi", "the pod's own resources"),
        ({"policy": BOUNDS, "limits": RANGE}, "3Gi", "the namespace's LimitRange"),
    ],
)
@pytest.mark.parametrize(
    "wish",
    [
        {"overrides": asked(memory_limit="32Gi")},
        {"current": amounts(memory_request="1Gi", memory_limit="32Gi")},
        {"overrides": asked(memory_request="32Gi", memory_limit="32Gi")},
    ],
    ids=["annotation", "person", "annotated request"],
)
def test_a_cap_wins_over_an_annotation_and_over_a_person(
    changes: dict[str, object], limit: str, who: str, wish: dict[str, object]
) -> None:
    found = decide(inputs(SMALL, **changes, **wish))
    assert given(found, "limit", "memory") == limit
    assert any(reason.startswith("memory limit lowered from ") and reason.endswith(who) for reason in found.reasons)


def test_a_request_that_only_the_pods_own_request_caps_is_a_reason_too() -> None:
    pod = amounts(memory_request="512Mi", memory_limit="32Gi")
    found = decide(inputs(LARGE, pod_level=pod))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["512Mi", "12Gi"]
    assert "memory request lowered from 9728Mi to 512Mi: the pod's own resources" in found.reasons


def test_bounds_min_raises_what_was_computed_and_not_an_annotation() -> None:
    chosen = policy(bounds={"min": {"memory": "2Gi"}})
    assert [given(decide(inputs(SMALL, policy=chosen)), side, "memory") for side in ("request", "limit")] == [
        "2Gi",
        "2Gi",
    ]
    found = decide(inputs(SMALL, policy=chosen, overrides=asked(memory_request="1Gi", memory_limit="1Gi")))
    assert given(found, "limit", "memory") == "1Gi"


def test_the_limit_ranges_minimum_raises_even_an_annotation() -> None:
    ranges = NamespaceLimits(min={"memory": GI, "cpu": 200})
    found = decide(inputs(SMALL, container=HTTP, limits=ranges, overrides=asked(memory_limit="128Mi")))
    assert [given(found, side, name) for name in ("cpu", "memory") for side in ("request", "limit")] == [
        "200m",
        "1",
        "1Gi",
        "1Gi",
    ]


def test_an_annotated_limit_for_disk_alone_is_raised_to_the_limit_ranges_minimum() -> None:
    found = decide(inputs(None, limits=NamespaceLimits(min={DISK: GI}), overrides=asked(ephemeral_storage_limit="1Mi")))
    assert given(found, "limit", DISK) == "1Gi"


def test_the_limit_ranges_ratio_raises_the_request() -> None:
    ranges = NamespaceLimits(ratio={"cpu": Fraction(3, 2)})
    found = decide(inputs(SMALL, limits=ranges))
    assert [given(found, side, "cpu") for side in ("request", "limit")] == ["667m", "1"]
    assert "cpu request raised to 667m: the LimitRange's limit-to-request ratio" in found.reasons


def test_where_the_pods_own_request_forbids_that_the_ratio_lowers_the_limit() -> None:
    pod = amounts(cpu_request="400m", cpu_limit="4")
    found = decide(inputs(SMALL, limits=NamespaceLimits(ratio={"cpu": Fraction(2)}), pod_level=pod))
    assert [given(found, side, "cpu") for side in ("request", "limit")] == ["400m", "800m"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"limits": NamespaceLimits(min={"memory": 8 * GI}, max={"memory": 4 * GI})},
            "left alone: memory above the LimitRange's maximum of 4Gi",
        ),
        (
            {"limits": NamespaceLimits(min={"memory": 8 * GI}), "pod_level": amounts(memory_limit="4Gi")},
            "left alone: memory above the pod's own 4Gi",
        ),
    ],
)
def test_where_no_value_is_valid_the_container_is_left_alone(changes: dict[str, object], problem: str) -> None:
    found = decide(inputs(SMALL, **changes))
    assert found.resources is None
    assert found.environment == {}
    assert found.reasons[0] == problem


# -- the pod around it ------------------------------------------------------------------------------------------------


def test_a_request_is_raised_to_what_the_app_requests_anyway() -> None:
    found = decide(inputs(SMALL, headroom={"cpu": 4000, "memory": 16 * GI}))
    assert [given(found, side, name) for name in ("cpu", "memory") for side in ("request", "limit")] == [
        "1",
        "1",
        "896Mi",
        "896Mi",
    ]
    assert "cpu request raised to 1: free, the pod's other containers request more" in found.reasons


def test_a_little_headroom_raises_a_request_as_far_as_it_goes() -> None:
    assert given(decide(inputs(SMALL, headroom={"cpu": 250})), "request", "cpu") == "250m"
    assert given(decide(inputs(SMALL, headroom={"cpu": 50})), "request", "cpu") == "100m"


def test_an_annotated_request_is_not_raised_to_the_headroom() -> None:
    found = decide(inputs(SMALL, headroom={"cpu": 4000}, overrides=asked(cpu_request="200m")))
    assert given(found, "request", "cpu") == "200m"


def test_disk_is_never_raised_to_the_headroom() -> None:
    found = decide(inputs(SMALL, headroom={DISK: 100 * GI}))
    assert given(found, "request", DISK) == "320Mi"


def test_of_a_pods_own_request_all_is_free() -> None:
    found = decide(inputs(SMALL, headroom={"cpu": 4000}, pod_level=amounts(cpu_request="600m", cpu_limit="8")))
    assert given(found, "request", "cpu") == "600m"


def test_a_guaranteed_pod_stays_guaranteed() -> None:
    current = amounts(cpu_limit="1", memory_limit="1Gi")
    found = decide(inputs(SMALL, qos="Guaranteed", current=current, overrides=asked(memory_request="64Mi")))
    assert found.resources is not None
    assert {name: found.resources.requests[name] for name in ("cpu", "memory")} == found.resources.limits
    assert found.reasons[-1] == "requests equal limits: the pod is Guaranteed and stays so"


def test_a_pod_that_is_guaranteed_by_its_own_resources_is_so_whatever_the_container_has() -> None:
    pod = amounts(cpu_limit="8", memory_limit="32Gi")
    found = decide(inputs(SMALL, qos="Guaranteed", pod_level=pod, overrides=asked(memory_request="64Mi")))
    assert given(found, "request", "memory") == "64Mi"


# -- disk -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("medium", "request_"), [("disk", "60160Mi"), ("memory", None), ("elsewhere", None)])
def test_ephemeral_storage_is_requested_for_a_disk_only(medium: str, request_: str | None) -> None:
    found = decide(inputs(LARGE, container=container(medium=medium)))  # type: ignore[arg-type]
    assert given(found, "request", DISK) == request_


def test_ephemeral_storage_is_never_limited() -> None:
    assert given(decide(inputs(LARGE, policy=policy(bounds={"min": {DISK: "100Gi"}}))), "limit", DISK) is None


@pytest.mark.parametrize(
    ("largest_node", "request_"), [(None, "60160Mi"), (60160 * MI, "60160Mi"), (60160 * MI - 1, None)]
)
def test_ephemeral_storage_is_left_out_where_no_known_node_could_hold_it(
    largest_node: int | None, request_: str | None
) -> None:
    found = decide(inputs(LARGE, node_disk=largest_node))
    assert given(found, "request", DISK) == request_
    assert any("no known node has 60160Mi" in reason for reason in found.reasons) is (request_ is None)


def test_an_annotated_request_for_disk_stands_on_any_node_and_medium() -> None:
    wanted = asked(ephemeral_storage_request="90Gi")
    found = decide(inputs(LARGE, container=container(medium="elsewhere"), node_disk=GI, overrides=wanted))
    assert given(found, "request", DISK) == "90Gi"


@pytest.mark.parametrize(
    "changes",
    [
        {"current": amounts(ephemeral_storage_limit="10Gi")},
        {
            "current": amounts(ephemeral_storage_limit="10Gi"),
            "limit_ranger": frozenset({(DISK, "limit"), (DISK, "request")}),
        },
        {"limits": NamespaceLimits(default={DISK: 10 * GI})},
    ],
    ids=["a person's", "the LimitRanger's", "the LimitRanger's, once it runs again"],
)
def test_the_request_for_disk_is_never_above_a_limit_that_the_container_has_or_will_have(
    changes: dict[str, object],
) -> None:
    found = decide(inputs(LARGE, **changes))
    assert given(found, "request", DISK) == "10Gi"
    assert (
        "ephemeral-storage request lowered from 60160Mi to 10Gi: its limit; the pull may run out of disk"
        in found.reasons
    )


def test_in_memory_the_model_counts_as_memory() -> None:
    disk = decide(inputs(SMALL))
    memory = decide(inputs(SMALL, container=container(medium="memory")))
    assert disk.resources is not None
    assert memory.resources is not None
    assert memory.resources.limits["memory"] - disk.resources.limits["memory"] >= SMALL.bytes


# -- the tuned downloader ---------------------------------------------------------------------------------------------


def test_where_the_limit_cannot_be_what_is_needed_the_downloader_is_told_to_need_less() -> None:
    found = decide(inputs(LARGE, policy=policy(bounds={"max": {"memory": "2Gi"}})))
    assert found.environment == TUNED
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["384Mi", "1Gi"]
    assert any("small buffers" in reason for reason in found.reasons)


def test_where_the_limit_is_enough_the_downloader_is_left_fast() -> None:
    assert decide(inputs(LARGE, policy=policy(bounds={"max": {"memory": "12Gi"}}))).environment == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": NamespaceLimits(max={"memory": 2 * GI})},
        {"pod_level": amounts(memory_request="1Gi", memory_limit="2Gi")},
        {"policy": policy(tiers=[{"limits": {"memory": "2Gi"}}])},
    ],
    ids=["LimitRange", "pod-level", "tier"],
)
def test_whoever_caps_the_memory_the_downloader_is_told(changes: dict[str, object]) -> None:
    assert decide(inputs(LARGE, **changes)).environment == TUNED


@pytest.mark.parametrize(
    "environment",
    [
        {**KSERVE_ENVIRONMENT, "HF_HUB_ENABLE_HF_TRANSFER": "0"},
        {**KSERVE_ENVIRONMENT, "HF_XET_HIGH_PERFORMANCE": ""},
        {**KSERVE_ENVIRONMENT, "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_SIZE": "4gb"},
    ],
    ids=["another value", "from elsewhere", "buffers of somebody's own"],
)
def test_a_value_of_somebodys_own_is_never_changed(environment: dict[str, str]) -> None:
    capped = policy(bounds={"max": {"memory": "1Gi"}})
    found = decide(inputs(LARGE, container=container("hf://a/b", environment=environment), policy=capped))
    assert found.environment == {}
    assert given(found, "limit", "memory") == "1Gi"


def test_only_the_hubs_downloader_is_told_anything() -> None:
    capped = policy(bounds={"max": {"memory": "64Mi"}})
    assert decide(inputs(LARGE, container=HTTP, policy=capped)).environment == {}


def test_a_limit_that_a_person_annotated_too_low_stands_and_the_downloader_is_told_to_live_with_it() -> None:
    found = decide(inputs(LARGE, overrides=asked(memory_limit="1Gi")))
    assert given(found, "limit", "memory") == "1Gi"
    assert found.environment == TUNED


# -- in words ---------------------------------------------------------------------------------------------------------


def test_the_size_of_all_sources_is_said_for_people() -> None:
    assert total((SMALL, LARGE)) == "60.2 GB"
    assert total((SMALL, None)) == "unknown"
    assert total((NO_ANSWER,)) == "unknown"
    assert total(()) == "unknown"


def test_nothing_asked_for_is_no_annotation() -> None:
    assert decide(inputs(SMALL, overrides=Overrides(mode="Auto"))).basis == "model"
    assert decide(inputs(SMALL, current=KSERVE_RESOURCES)) == decide(inputs(SMALL))
