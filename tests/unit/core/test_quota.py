"""What ResourceQuotas leave for one more pod."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.pod import Resources
from pullsizer.quantity import GI, MI, write
from pullsizer.quota import UNBOUNDED, quota_of

Json = dict[str, Any]


def quota(hard: Json, used: Json | None = None, name: str = "team", **spec: Any) -> Json:
    return {"metadata": {"name": name}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used or {}}}


def test_what_is_left_is_what_is_hard_less_what_is_used() -> None:
    whole = quota_of(
        [
            quota(
                {"requests.cpu": "4", "limits.memory": "16Gi", "requests.ephemeral-storage": "1Ti", "pods": "10"},
                {"requests.cpu": "3500m", "limits.memory": "10Gi", "requests.ephemeral-storage": "0", "pods": "2"},
            )
        ]
    )
    found = whole.left
    assert whole.hard.limits == {"memory": 16 * GI}
    assert found.requests == {"cpu": 500, "ephemeral-storage": 1024 * GI}
    assert found.limits == {"memory": 6 * GI}
    assert found.who == {
        ("request", "cpu"): "team",
        ("limit", "memory"): "team",
        ("request", "ephemeral-storage"): "team",
    }


@pytest.mark.parametrize("key", ["memory", "requests.memory"])
def test_a_resource_without_a_side_is_of_requests(key: str) -> None:
    assert quota_of([quota({key: "2Gi"}, {key: "1Gi"})]).left.requests == {"memory": GI}


def test_of_several_quotas_the_least_that_is_left_counts_and_names_its_quota() -> None:
    found = quota_of([quota({"limits.memory": "8Gi"}, name="b"), quota({"limits.memory": "2Gi"}, name="a")]).hard
    assert (found.limits, found.who) == ({"memory": 2 * GI}, {("limit", "memory"): "a"})


def test_a_quota_that_is_overdrawn_leaves_nothing() -> None:
    assert quota_of([quota({"limits.memory": "1Gi"}, {"limits.memory": "3Gi"})]).left.limits == {"memory": 0}


def test_a_quota_that_was_not_counted_yet_leaves_all_of_it() -> None:
    new = {"metadata": {"name": "team"}, "spec": {"hard": {"limits.memory": "1Gi"}}}
    assert quota_of([new]).left.limits == {"memory": GI}


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"scopes": ["NotTerminating"]}, True),
        ({"scopes": ["NotBestEffort", "NotTerminating"]}, True),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["CrossNamespacePodAffinity"]}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, False),
    ],
)
def test_only_quotas_that_count_a_pod_with_a_pull_are_reckoned_with(spec: Json, counts: bool) -> None:
    assert (quota_of([quota({"limits.memory": "1Gi"}, **spec)]) != UNBOUNDED) is counts


def test_what_cannot_be_read_bounds_nothing() -> None:
    assert quota_of([quota({"limits.memory": "lots", "limits.cpu": "2"})]).hard.limits == {"cpu": 2000}


@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 1 << 20)), min_size=1, max_size=5))
def test_more_used_never_leaves_more(pairs: list[tuple[int, int]]) -> None:
    def left(more: int) -> int:
        quotas = [
            quota({"memory": write(hard * MI, "memory")}, {"memory": write((used + more) * MI, "memory")}, f"q{number}")
            for number, (hard, used) in enumerate(pairs)
        ]
        return quota_of(quotas).left.requests["memory"]

    assert 0 <= left(1) <= left(0)


def test_what_there_is_no_room_for_is_said_in_words() -> None:
    found = quota_of([quota({"limits.memory": "8Gi", "requests.cpu": "4"}, {"limits.memory": "5Gi"})])
    (sentence,) = found.shortfalls(Resources({"cpu": 1000}, {"memory": 6 * GI}))
    assert sentence == (
        "ResourceQuota 'team' has 3Gi left of limits.memory, and the pull takes 6Gi: its pod is refused until there "
        "is room"
    )
