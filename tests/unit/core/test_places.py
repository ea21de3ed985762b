"""What holds in namespaces, as it comes and goes."""

from __future__ import annotations

from typing import Any

from pullsizer.limits import UNLIMITED
from pullsizer.overrides import NONE, Overrides
from pullsizer.places import Places
from pullsizer.quantity import GI
from pullsizer.quota import UNBOUNDED

Json = dict[str, Any]


def limit_range(name: str, memory: str, namespace: str = "team-a") -> Json:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"limits": [{"type": "Container", "max": {"memory": memory}}]},
    }


def resource_quota(name: str, left: str) -> Json:
    return {
        "metadata": {"namespace": "team-a", "name": name},
        "status": {"hard": {"limits.memory": left}, "used": {"limits.memory": "0"}},
    }


def test_the_limit_ranges_of_a_namespace_are_reckoned_together_as_they_come_and_go() -> None:
    places = Places()
    places.put_limit_range(limit_range("x", "4Gi"))
    places.put_limit_range(limit_range("y", "2Gi"))
    assert places.limits("team-a").max == {"memory": 2 * GI}
    assert places.limits("team-b") == UNLIMITED
    places.put_limit_range(limit_range("y", "3Gi"))
    assert places.limits("team-a").max == {"memory": 3 * GI}
    places.remove_limit_range(limit_range("y", "3Gi"))
    assert places.limits("team-a").max == {"memory": 4 * GI}
    places.remove_limit_range(limit_range("never", "1Gi"))
    places.remove_limit_range(limit_range("x", "4Gi"))
    assert places.limits("team-a") == UNLIMITED
    assert (dict(places._limit_ranges), places._limits) == ({}, {})


def test_only_namespaces_that_ask_for_something_are_kept() -> None:
    places = Places()
    asking: Json = {"metadata": {"name": "team-a", "annotations": {"pullsizer.dev/mode": "Disabled"}}}
    places.put_namespace(asking)
    places.put_namespace({"metadata": {"name": "team-b", "annotations": {"other": "x"}}})
    places.put_namespace({"metadata": {"name": "team-c"}})
    assert places.overrides("team-a") == Overrides(mode="Disabled")
    assert set(places._overrides) == {"team-a"}
    places.put_namespace({"metadata": {"name": "team-a"}})
    assert places.overrides("team-a") == NONE
    places.put_namespace(asking)
    places.remove_namespace(asking)
    assert places._overrides == {}


def test_the_quotas_of_a_namespace_are_reckoned_together_as_they_come_and_go() -> None:
    places = Places()
    places.put_resource_quota(resource_quota("x", "4Gi"))
    places.put_resource_quota(resource_quota("y", "2Gi"))
    assert places.quota("team-a").hard.limits == {"memory": 2 * GI}
    assert places.quota("team-b") == UNBOUNDED
    places.remove_resource_quota(resource_quota("y", "2Gi"))
    assert places.quota("team-a").hard.limits == {"memory": 4 * GI}
    places.remove_resource_quota(resource_quota("x", "4Gi"))
    places.remove_resource_quota(resource_quota("never", "4Gi"))
    assert places.quota("team-a") == UNBOUNDED
    assert (dict(places._resource_quotas), places._quotas) == ({}, {})
