"""Annotations that users write: what they ask for, what is wrong with them, and whose word counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.overrides import KEYS, NONE, Overrides, parse_overrides, unknown_keys
from pullsizer.quantity import GI, MI


def test_all_that_can_be_asked_for_is_read() -> None:
    asked, problems = parse_overrides(
        {
            "pullsizer.dev/mode": "Recommend",
            "pullsizer.dev/model-size": "15Gi",
            "pullsizer.dev/cpu-request": "500m",
            "pullsizer.dev/cpu-limit": "2",
            "pullsizer.dev/memory-request": "1Gi",
            "pullsizer.dev/memory-limit": "4Gi",
            "pullsizer.dev/ephemeral-storage-request": "20Gi",
            "pullsizer.dev/ephemeral-storage-limit": "40Gi",
            "unrelated.example.com/memory-limit": "1",
        }
    )
    assert problems == ()
    assert asked == Overrides(
        mode="Recommend",
        model_size=15 * GI,
        requests={"cpu": 500, "memory": GI, "ephemeral-storage": 20 * GI},
        limits={"cpu": 2000, "memory": 4 * GI, "ephemeral-storage": 40 * GI},
    )


@pytest.mark.parametrize("annotations", [None, {}, {"a": "b"}, {"pullsizer.dev/sizing": "{}"}])
def test_other_annotations_ask_for_nothing(annotations: dict[str, str] | None) -> None:
    assert parse_overrides(annotations) == (NONE, ())
    assert not NONE


def test_the_names_proposed_upstream_are_aliases() -> None:
    asked, problems = parse_overrides(
        {
            "storage.kserve.io/initializer-cpu-request": "200m",
            "storage.kserve.io/initializer-cpu-limit": "1",
            "storage.kserve.io/initializer-memory-request": "1Gi",
            "storage.kserve.io/initializer-memory-limit": "2Gi",
        }
    )
    assert problems == ()
    assert asked.requests == {"cpu": 200, "memory": GI}
    assert asked.limits == {"cpu": 1000, "memory": 2 * GI}


def test_our_own_name_counts_where_the_alias_stands_beside_it() -> None:
    annotations = {
        "pullsizer.dev/memory-limit": "4Gi",
        "storage.kserve.io/initializer-memory-limit": "2Gi",
    }
    for order in (annotations, dict(reversed(annotations.items()))):
        asked, problems = parse_overrides(order)
        assert (asked.limits, problems) == ({"memory": 4 * GI}, ())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pullsizer.dev/memory-limit", "15gigs", "'15gigs' is not a quantity; write it as Kubernetes does"),
        ("pullsizer.dev/memory-limit", "512m", "did you mean 512Mi?"),
        ("pullsizer.dev/cpu-limit", "4Gi", "write cpu as 500m or 2"),
        ("pullsizer.dev/model-size", "", "is not a quantity"),
        ("pullsizer.dev/model-size", "0", "is zero"),
        ("pullsizer.dev/mode", "Off", "'Off' is no mode; did you mean 'Disabled'?"),
        ("pullsizer.dev/mode", "autp", "did you mean 'Auto'?"),
        ("storage.kserve.io/initializer-memory-limit", "lots", "'lots' is not a quantity"),
    ],
)
def test_a_wrong_value_is_left_out_and_named(key: str, value: str, message: str) -> None:
    asked, (problem,) = parse_overrides({key: value, "pullsizer.dev/cpu-request": "100m"})
    assert asked == Overrides(requests={"cpu": 100})
    assert problem.key == key
    assert message in problem.message
    assert str(problem) == f"{key}: {problem.message}"


def test_a_request_above_its_limit_makes_both_void() -> None:
    asked, (problem,) = parse_overrides(
        {
            "pullsizer.dev/memory-request": "4Gi",
            "pullsizer.dev/memory-limit": "1Gi",
            "pullsizer.dev/cpu-limit": "1",
        }
    )
    assert asked == Overrides(limits={"cpu": 1000})
    assert str(problem) == (
        "pullsizer.dev/memory-limit: '1Gi' is below the memory request of 4Gi; raise the limit or lower the request"
    )


def test_the_nearer_word_counts_key_by_key() -> None:
    pod = Overrides(limits={"memory": 4 * GI})
    service = Overrides(mode="Auto", model_size=GI, limits={"memory": 2 * GI, "cpu": 1000})
    namespace = Overrides(mode="Disabled", model_size=2 * GI, requests={"cpu": 100}, limits={"cpu": 500})
    assert pod.over(service.over(namespace)) == Overrides(
        mode="Auto", model_size=GI, requests={"cpu": 100}, limits={"memory": 4 * GI, "cpu": 1000}
    )


def test_the_order_in_which_levels_are_joined_does_not_matter() -> None:
    pod, service = Overrides(limits={"cpu": 1}), Overrides(mode="Auto", limits={"cpu": 2})
    namespace = Overrides(mode="Disabled", requests={"memory": 3})
    assert pod.over(service).over(namespace) == pod.over(service.over(namespace))


def test_a_nearer_request_makes_a_farther_lower_limit_void() -> None:
    asked = Overrides(requests={"memory": 4 * GI}).over(Overrides(limits={"memory": GI, "cpu": 1000}))
    assert asked == Overrides(requests={"memory": 4 * GI}, limits={"cpu": 1000})


def test_a_nearer_limit_makes_a_farther_higher_request_void() -> None:
    asked = Overrides(limits={"memory": GI}).over(Overrides(requests={"memory": 4 * GI, "cpu": 100}))
    assert asked == Overrides(requests={"cpu": 100}, limits={"memory": GI})


def test_a_request_and_a_limit_of_two_levels_that_fit_both_stand() -> None:
    asked = Overrides(requests={"memory": GI}).over(Overrides(limits={"memory": GI}))
    assert asked == Overrides(requests={"memory": GI}, limits={"memory": GI})


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("pullsizer.dev/memory-limits", "is not an annotation that Pullsizer knows; did you mean 'memory-limit'?"),
        ("pullsizer.dev/modelsize", "did you mean 'model-size'?"),
        ("pullsizer.dev/Mode", "did you mean 'mode'?"),
        ("pullsizer.dev/", "known: cpu-limit, cpu-request"),
        ("pullsizer.dev/sizing", "is written on pods by Pullsizer and read nowhere else; remove it here"),
        ("pullsizer.dev/inject", "is a label, for namespaces and pods; write it under metadata.labels"),
    ],
)
def test_a_key_that_means_nothing_here_is_named_with_what_was_meant(key: str, message: str) -> None:
    (problem,) = unknown_keys({key: "x", "pullsizer.dev/mode": "Auto", "other.dev/memory-limits": "x"})
    assert problem.key == key
    assert message in problem.message


def test_known_keys_and_those_of_others_are_no_problem() -> None:
    assert unknown_keys(dict.fromkeys(KEYS, "1") | {"serving.kserve.io/x": "y"}) == ()
    assert unknown_keys(None) == ()


TEXT = st.text(max_size=12) | st.sampled_from(["1Gi", "2Gi", "500m", "3", "Auto", "Off", "512m", "-1", "1e99"])


@given(st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(max_size=20), TEXT, max_size=8))
def test_any_annotations_are_read_without_an_error_and_never_clash(annotations: dict[str, str]) -> None:
    asked, problems = parse_overrides(annotations)
    unknown_keys(annotations)
    assert all(problem.key in KEYS for problem in problems)
    assert all(asked.requests[name] <= limit for name, limit in asked.limits.items() if name in asked.requests)


ASKED = st.dictionaries(st.sampled_from(sorted(KEYS)), st.sampled_from(["256Mi", "1Gi", "2", "3"]), max_size=6).map(
    lambda annotations: parse_overrides(annotations)[0]
)


@given(ASKED, ASKED, ASKED)
def test_joined_levels_never_clash_and_the_nearest_is_always_whole(
    pod: Overrides, service: Overrides, namespace: Overrides
) -> None:
    joined = pod.over(service.over(namespace))
    assert all(joined.requests[name] <= limit for name, limit in joined.limits.items() if name in joined.requests)
    assert pod.requests.items() <= joined.requests.items()
    assert pod.limits.items() <= joined.limits.items()
    assert pod.over(NONE) == pod
    assert NONE.over(pod) == pod


def test_amounts_below_a_mebibyte_are_amounts_all_the_same() -> None:
    asked, problems = parse_overrides({"pullsizer.dev/model-size": "500k"})
    assert (asked.model_size, problems) == (500_000, ())
    assert asked.model_size is not None
    assert asked.model_size < MI
