"""Who caps, and who wins where two clash."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pullsizer.limits import NamespaceLimits
from pullsizer.pod import Resources
from pullsizer.quantity import GI
from pullsizer.quota import Allowance
from pullsizer.sizing import decide
from tests.unit.sizing.examples import (
    DISK,
    HTTP,
    LARGE,
    SMALL,
    amounts,
    asked,
    given,
    inputs,
    policy,
)

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


SIDECAR = Resources({"cpu": 500, "memory": 2 * GI}, {"cpu": 500, "memory": 2 * GI})


def test_a_sidecar_that_runs_beside_the_pull_takes_its_part_of_the_pods_own_request() -> None:
    whole = Resources({"cpu": 2000, "memory": 4 * GI}, {})
    found = decide(inputs(LARGE, pod_level=whole, beside=SIDECAR))
    assert found.resources is not None
    assert found.resources.requests["cpu"] <= 1500
    assert found.resources.requests["memory"] <= 2 * GI


def test_a_sidecar_that_runs_beside_the_pull_takes_its_part_of_a_limit_for_pods() -> None:
    found = decide(inputs(LARGE, limits=NamespaceLimits(pod_max={"memory": 12 * GI}), beside=SIDECAR))
    assert given(found, "limit", "memory") == "10Gi"
    assert any("the namespace's LimitRange for pods" in reason for reason in found.reasons)


# -- quotas and nodes -------------------------------------------------------------------------------------------------


def quota(**limits: int) -> Allowance:
    return Allowance(limits=limits, who={("limit", name): "team" for name in limits})


def test_more_than_all_of_a_quota_is_never_asked_for_as_no_pod_would_ever_have_it() -> None:
    found = decide(inputs(LARGE, quota=quota(memory=4 * GI)))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["4Gi", "4Gi"]
    assert "memory limit lowered from 12Gi to 4Gi: all that a ResourceQuota of the namespace has" in found.reasons
    assert "may be killed" in found.warnings[0]


def test_what_sidecars_have_beside_the_pull_is_of_the_quota_too() -> None:
    found = decide(inputs(LARGE, quota=quota(memory=4 * GI), beside=amounts(memory_limit="1Gi")))
    assert given(found, "limit", "memory") == "3Gi"


def test_a_quota_that_is_large_enough_changes_nothing() -> None:
    assert decide(inputs(LARGE, quota=quota(memory=100 * GI))) == decide(inputs(LARGE))


def test_a_quota_and_a_ratio_of_limit_to_request_both_hold() -> None:
    requests = Allowance(requests={"memory": GI}, who={("request", "memory"): "team"})
    ratio = NamespaceLimits(ratio={"memory": Fraction(11)})
    found = decide(inputs(LARGE, quota=requests, limits=ratio))
    assert found.resources is None or (found.resources.limits["memory"] <= 11 * found.resources.requests["memory"])


def test_a_request_that_no_known_node_can_hold_is_warned_of_and_not_lowered() -> None:
    found = decide(inputs(LARGE, node_memory=8 * GI))
    assert given(found, "request", "memory") == "9728Mi"
    assert found.warnings == ("no known node has 9728Mi of memory; the pod may stay pending",)
