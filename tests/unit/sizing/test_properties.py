"""What holds of every decision, whatever goes in."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from pullsizer.kserve import DEFAULT, KServe
from pullsizer.limits import NamespaceLimits
from pullsizer.model import Archive, Failure, ModelFacts, Source
from pullsizer.names import RESOURCES
from pullsizer.overrides import Overrides
from pullsizer.pod import Medium, PodResources, Resources
from pullsizer.policy import Policy
from pullsizer.pulls import PullContainer
from pullsizer.quantity import GI, MI, write
from pullsizer.quota import Allowance
from pullsizer.sizing import Decision, Inputs, decide
from pullsizer.sizing.tuning import TUNED
from tests.unit.sizing.examples import KSERVE_ENVIRONMENT, KSERVE_RESOURCES, after

AMOUNT: Final = {
    "cpu": st.sampled_from([50, 100, 250, 1000, 1500, 4000]),
    "memory": st.sampled_from([64 * MI, 100 * MI, 777 * MI, GI, 3 * GI, 12 * GI, 64 * GI]),
    "ephemeral-storage": st.sampled_from([GI, 10 * GI, 100 * GI]),
}
HARD = settings(max_examples=100)


def some(*names: str) -> st.SearchStrategy[dict[str, int]]:
    return st.fixed_dictionaries({}, optional={name: AMOUNT[name] for name in names or RESOURCES})


@st.composite
def resources(draw: st.DrawFn, *names: str) -> Resources:
    """As the API server would take them: no request above its limit, and a limit alone is a request."""
    limits = draw(some(*names))
    requests = draw(some(*names))
    return Resources(
        {**limits, **{name: min(amount, limits.get(name, amount)) for name, amount in requests.items()}}, limits
    )


@st.composite
def overrides(draw: st.DrawFn) -> Overrides:
    found = draw(resources())
    named = draw(st.sets(st.sampled_from(RESOURCES)))
    requests = {name: amount for name, amount in found.requests.items() if name in named}
    return Overrides(
        model_size=draw(st.none() | st.integers(1, 1 << 42)),
        tune=draw(st.sampled_from((None, "Disabled", "Auto"))),
        requests=requests,
        limits=found.limits,
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    def block(found: Resources) -> dict[str, Any]:
        limits = {name: amount for name, amount in found.limits.items() if name != "ephemeral-storage"}
        return {
            "requests": {name: write(amount, name) for name, amount in found.requests.items()},
            "limits": {name: write(amount, name) for name, amount in limits.items()},
        }

    most, least = draw(some()), draw(some())
    least = {name: min(amount, most.get(name, amount)) for name, amount in least.items()}
    ends = sorted(draw(st.sets(st.integers(1 << 20, 1 << 40), max_size=2)))
    return Policy.model_validate(
        {
            "modelPullResources": block(draw(resources())),
            "tiers": [{"upTo": str(end), **block(draw(resources()))} for end in ends],
            "bounds": {
                side: {name: write(amount, name) for name, amount in found.items()}
                for side, found in (("min", least), ("max", most))
            },
        }
    )


@st.composite
def limit_ranges(draw: st.DrawFn) -> NamespaceLimits:
    most = draw(some())
    least = {name: min(amount, most.get(name, amount)) for name, amount in draw(some()).items()}
    ratio = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(RESOURCES, st.sampled_from([1, 1.5, 4]))))
    # The API server fills `default` from `max`, and takes no default above it or below min.
    default = {**draw(some()), **most}
    default = {name: max(amount, least.get(name, 0)) for name, amount in default.items()}
    ratios = {name: Fraction(value) for name, value in ratio.items()}
    return NamespaceLimits(min=least, max=most, pod_max=draw(some()), ratio=ratios, default=default)


@st.composite
def quotas(draw: st.DrawFn) -> Allowance:
    return Allowance(draw(st.just({}) | some()), draw(st.just({}) | some()))


ARCHIVE: st.SearchStrategy[Archive] = st.sampled_from(["", "tar", "tar.gz", "zip"])
MEDIUM: st.SearchStrategy[Medium] = st.sampled_from(["disk", "memory", "elsewhere"])
FACTS = st.builds(
    lambda size, files, archive: ModelFacts(size, files, -(-size // max(1, files)), archive),
    st.integers(0, 1 << 42),
    st.integers(0, 3000),
    ARCHIVE,
)
KNOWLEDGE = st.one_of(FACTS, FACTS, st.none(), st.just(Failure("NotFound", "there is no such model")))
URI = st.sampled_from(["hf://a/b", "https://example.com/x", "s3://a/b", "gs://a/b", "modelscope://a/b"])
ENVIRONMENT = st.sampled_from([KSERVE_ENVIRONMENT, {}, {"HF_HUB_DISABLE_XET": "1"}, TUNED])


def within(resources: Resources, whole: Resources) -> Resources:
    """Of a pod that the API server would take: no container has more than the pod as a whole."""
    return Resources(
        {name: min(amount, whole.requests.get(name, amount)) for name, amount in resources.requests.items()},
        {name: min(amount, whole.limits.get(name, amount)) for name, amount in resources.limits.items()},
    )


@st.composite
def any_inputs(draw: st.DrawFn) -> Inputs:
    uris = draw(st.lists(URI, min_size=1, max_size=3))
    container = PullContainer(
        index=0,
        name="storage-initializer",
        image=draw(st.sampled_from(["i:v0.18.0", "i:v0.20.0"])),
        sources=tuple(Source(uri) for uri in uris),
        environment=draw(ENVIRONMENT),
        medium=draw(MEDIUM),
    )
    current = draw(st.just(KSERVE_RESOURCES) | resources())
    apps = draw(st.lists(resources("cpu", "memory"), min_size=1, max_size=2))
    whole = draw(st.just(Resources()) | resources("cpu", "memory"))
    current = within(current, whole)
    pod = PodResources(whole, tuple(apps), ((current, False),))
    by_plugin = draw(st.sets(st.tuples(st.sampled_from(RESOURCES), st.sampled_from(["request", "limit"])), max_size=2))
    own = frozenset(("memory", "limit", amount) for amount in draw(st.sets(AMOUNT["memory"], max_size=1)))
    return Inputs(
        container=container,
        knowledge=tuple(draw(KNOWLEDGE) for _ in uris),
        policy=draw(policies()),
        current=current,
        overrides=draw(overrides()),
        limit_ranger=frozenset(by_plugin),
        headroom=pod.headroom(0),
        qos=pod.qos(),
        pod_level=whole,
        limits=draw(st.just(NamespaceLimits()) | limit_ranges()),
        quota=draw(quotas()),
        beside=draw(st.just(Resources()) | resources()),
        kserve=KServe(defaults=DEFAULT.defaults | own),
        node_disk=draw(st.none() | AMOUNT["ephemeral-storage"]),
        node_memory=draw(st.none() | AMOUNT["memory"]),
    )


def container_after(inputs: Inputs, decision: Decision) -> Resources:
    """What the container has when the patch and the LimitRanger, which runs again, are through."""
    current = after(inputs, decision).current
    limits = {**inputs.limits.default, **current.limits}
    return Resources({**limits, **current.requests}, limits)


@HARD
@given(any_inputs())
def test_a_request_is_never_above_its_limit_even_after_the_limit_ranger_ran_again(inputs: Inputs) -> None:
    found = decide(inputs)
    if found.resources is None:
        return
    untouched = container_after(inputs, replace(found, resources=Resources()))
    if any(untouched.requests[name] > limit for name, limit in untouched.limits.items()):
        return  # the API server refuses this pod with or without us
    final = container_after(inputs, found)
    for name, limit in final.limits.items():
        assert final.requests[name] <= limit, (name, found)


@HARD
@given(any_inputs())
def test_nothing_is_ever_above_a_cap_nor_below_the_limit_ranges_minimum(inputs: Inputs) -> None:
    found = decide(inputs)
    if found.resources is None:
        return
    ranges, bounds, whole = inputs.limits, inputs.policy.bounds.max.known(), inputs.pod_level
    for side in (found.resources.requests, found.resources.limits):
        for name, amount in side.items():
            assert amount <= ranges.max.get(name, amount)
            assert amount <= max(bounds.get(name, amount), ranges.min.get(name, 0))
            assert amount >= ranges.min.get(name, 0)
            assert amount > 0
    beside = inputs.beside
    for name, amount in found.resources.requests.items():
        assert amount + beside.requests.get(name, 0) <= ranges.pod_max.get(name, 1 << 63)
        assert amount + beside.requests.get(name, 0) <= whole.requests.get(name, 1 << 63)
        assert found.resources.limits.get(name, 0) <= amount * ranges.ratio.get(name, Fraction(10**9))
    for name, amount in found.resources.limits.items():
        assert amount <= whole.limits.get(name, amount)
        assert amount + beside.limits.get(name, 0) <= ranges.pod_max.get(name, 1 << 63)


def taken_for_kserves(inputs: Inputs, now: Resources) -> bool:
    """Whether a value of ours is by chance one that KServe gives: only the note on the pod tells the two apart."""
    sides = (("request", inputs.current.requests, now.requests), ("limit", inputs.current.limits, now.limits))
    return any(
        (name, side, amount) in inputs.kserve.defaults and before.get(name) != amount
        for side, before, current in sides
        for name, amount in current.items()
    )


@HARD
@given(any_inputs())
def test_the_same_decided_again_on_the_pod_as_it_then_is_changes_nothing(inputs: Inputs) -> None:
    first = decide(inputs)
    assert decide(inputs) == first
    if first.resources is None:
        return
    again = after(inputs, first)
    if taken_for_kserves(inputs, again.current):
        return
    second = decide(again)
    assert second.resources is not None
    assert after(again, second) == again


@HARD
@given(any_inputs())
def test_the_pods_qos_class_is_never_lowered(inputs: Inputs) -> None:
    found = decide(inputs)
    if found.resources is None or inputs.qos != "Guaranteed" or inputs.pod_level.limits:
        return
    current = after(inputs, found).current
    for name in ("cpu", "memory"):
        assert current.limits[name] == current.requests[name]


@HARD
@given(any_inputs())
def test_an_annotated_value_is_exact_unless_a_reason_says_otherwise(inputs: Inputs) -> None:
    found = decide(inputs)
    if found.resources is None:
        return
    for side, asked, got in (
        ("request", inputs.overrides.requests, found.resources.requests),
        ("limit", inputs.overrides.limits, found.resources.limits),
    ):
        for name, amount in asked.items():
            if got.get(name) != amount:
                assert any(reason.startswith(name) for reason in found.reasons) or "Guaranteed" in found.reasons[-1], (
                    side,
                    name,
                    found,
                )


@HARD
@given(any_inputs())
def test_what_a_person_set_is_never_lowered_but_by_a_cap_or_an_annotation(inputs: Inputs) -> None:
    found = decide(inputs)
    if found.resources is None:
        return
    for side, before, got, asked in (
        ("request", inputs.current.requests, found.resources.requests, inputs.overrides.requests),
        ("limit", inputs.current.limits, found.resources.limits, inputs.overrides.limits),
    ):
        for name, amount in before.items():
            default = (name, side, amount) in inputs.kserve.defaults or (name, side) in inputs.limit_ranger
            if default or name in asked or name in inputs.overrides.limits:
                continue
            kept = got.get(name, amount) >= amount
            assert kept or any(f"{name} " in reason and " lowered " in reason for reason in found.reasons), (
                name,
                found,
            )


@given(any_inputs())
def test_every_decision_is_explained_in_words(inputs: Inputs) -> None:
    found = decide(inputs)
    assert found.reasons
    assert all(reason == reason.strip() and reason for reason in found.reasons)


@HARD
@given(any_inputs())
def test_only_the_hubs_variables_are_ever_set(inputs: Inputs) -> None:
    found = decide(inputs)
    assert found.environment in ({}, TUNED)
    if found.environment:
        own = inputs.container.environment
        assert {name: own[name] for name in own if name.startswith(("HF_XET_", "HF_HUB_"))} == KSERVE_ENVIRONMENT


@HARD
@given(any_inputs())
def test_no_limit_is_above_all_that_a_quota_has(inputs: Inputs) -> None:
    found = decide(inputs)
    if found.resources is None:
        return
    for name, limit in found.resources.limits.items():
        most = inputs.quota.limits.get(name, limit + inputs.beside.limits.get(name, 0))
        at_least = max(inputs.limits.min.get(name, 0), inputs.overrides.requests.get(name, 0))
        assert limit + inputs.beside.limits.get(name, 0) <= most or limit <= at_least


@HARD
@given(any_inputs())
def test_no_limit_is_beyond_the_ratio_that_a_limit_range_allows(inputs: Inputs) -> None:
    found = decide(inputs)
    if found.resources is None:
        return
    for name, ratio in inputs.limits.ratio.items():
        limit, request = found.resources.limits.get(name), found.resources.requests.get(name)
        assert limit is None or request is None or limit <= request * ratio


@given(any_inputs())
def test_every_warning_is_one_of_the_reasons(inputs: Inputs) -> None:
    found = decide(inputs)
    assert set(found.warnings) <= set(found.reasons)
