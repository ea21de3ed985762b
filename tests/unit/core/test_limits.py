"""LimitRanges: what several of them together leave an init container."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from pullsizer.limits import UNLIMITED, NamespaceLimits, namespace_limits
from pullsizer.quantity import GI, MI


def limit_range(*limits: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "LimitRange", "spec": {"limits": list(limits)}}


def test_a_limit_range_for_containers_bounds_them() -> None:
    found = namespace_limits(
        [
            limit_range(
                {
                    "type": "Container",
                    "min": {"cpu": "50m", "memory": "64Mi"},
                    "max": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "1"},
                    "default": {"ephemeral-storage": "10Gi"},
                    "maxLimitRequestRatio": {"memory": "4"},
                }
            )
        ]
    )
    assert found == NamespaceLimits(
        min={"cpu": 50, "memory": 64 * MI},
        max={"cpu": 4000, "memory": 8 * GI},
        ratio={"memory": Fraction(4)},
        default={"ephemeral-storage": 10 * GI},
    )


def test_the_strictest_of_several_counts_value_by_value() -> None:
    loose = {
        "type": "Container",
        "min": {"memory": "64Mi"},
        "max": {"memory": "8Gi", "cpu": "2"},
        "default": {"memory": "2Gi"},
        "maxLimitRequestRatio": {"memory": "8"},
    }
    strict = {
        "type": "Container",
        "min": {"memory": "128Mi"},
        "max": {"memory": "4Gi", "cpu": "8"},
        "default": {"memory": "1Gi"},
        "maxLimitRequestRatio": {"memory": "2"},
    }
    expected = NamespaceLimits(
        min={"memory": 128 * MI},
        max={"memory": 4 * GI, "cpu": 2000},
        ratio={"memory": Fraction(2)},
        default={"memory": GI},
    )
    for order in ([loose, strict], [strict, loose]):
        assert namespace_limits([limit_range(*order)]) == expected
        assert namespace_limits([limit_range(item) for item in order]) == expected


def test_a_limit_for_pods_bounds_an_init_container_too_and_gives_no_defaults() -> None:
    found = namespace_limits(
        [
            limit_range(
                {
                    "type": "Pod",
                    "min": {"memory": "256Mi"},
                    "max": {"memory": "8Gi"},
                    "maxLimitRequestRatio": {"memory": "4"},
                    "default": {"memory": "1Gi"},
                }
            )
        ]
    )
    assert found == NamespaceLimits(min={"memory": 256 * MI}, pod_max={"memory": 8 * GI}, ratio={"memory": Fraction(4)})


@pytest.mark.parametrize(("text", "ratio"), [("1500m", Fraction(3, 2)), ("1.5", Fraction(3, 2)), ("10", Fraction(10))])
def test_a_ratio_is_a_quantity_as_the_api_server_writes_it(text: str, ratio: Fraction) -> None:
    item = {"type": "Container", "maxLimitRequestRatio": {"memory": text}}
    assert namespace_limits([limit_range(item)]).ratio == {"memory": ratio}


@pytest.mark.parametrize(
    "item",
    [
        {"type": "PersistentVolumeClaim", "max": {"memory": "1Gi"}},
        {"type": "Container"},
        {"type": "Container", "max": {"storage": "1Gi"}},
        {"type": "Container", "max": {"memory": "lots"}, "maxLimitRequestRatio": {"memory": "much", "cpu": "0"}},
        {},
    ],
)
def test_what_does_not_concern_us_or_cannot_be_read_bounds_nothing(item: dict[str, Any]) -> None:
    assert namespace_limits([limit_range(item)]) == UNLIMITED


@pytest.mark.parametrize("item", [{}, {"spec": None}, {"spec": {}}, {"spec": {"limits": None}}])
def test_an_empty_limit_range_bounds_nothing(item: dict[str, Any]) -> None:
    assert namespace_limits([item]) == UNLIMITED
