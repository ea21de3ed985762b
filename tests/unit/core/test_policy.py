"""The administrator's policy: every wrong text is refused with a sentence that names key, value and remedy."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.errors import InvalidPolicy, InvalidValue
from pullsizer.policy import DEFAULT, Policy, load_policy, parse_mode
from pullsizer.quantity import GI, MI


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidPolicy) as found:
        load_policy(text)
    return found.value.problems


def test_no_text_is_a_policy_of_defaults() -> None:
    assert load_policy("") == Policy()
    assert load_policy("# only a comment\n") == Policy()


def test_until_a_policy_was_accepted_nothing_is_changed() -> None:
    assert DEFAULT.mode == "Recommend"


def test_a_whole_policy_is_read() -> None:
    policy = load_policy(
        """
        mode: Recommend
        modelPullResources:
          requests: {cpu: 500m, memory: 1Gi, ephemeral-storage: 20Gi}
          limits: {cpu: 2, memory: 4Gi}
        tiers:
        - {upTo: 5G, requests: {memory: 512Mi}, limits: {memory: 1Gi}}
        - {requests: {memory: 8Gi}, limits: {memory: 16Gi}}
        bounds:
          min: {cpu: 100m}
          max: {memory: 32Gi}
        waitForSize: 1500ms
        refreshAfter: 12h
        namespaces: {include: [team-*], exclude: [team-x]}
        services: {matchLabels: {tier: gold}}
        sources:
          allowCIDRs: [10.0.0.0/8]
          huggingFace:
            endpoint: https://hub.example.com/
            token: {secretName: hub, namespaces: [team-a]}
          timeout: 5s
        """
    )
    assert policy.mode == "Recommend"
    assert policy.model_pull_resources.requests.known() == {
        "cpu": 500,
        "memory": GI,
        "ephemeral-storage": 20 * GI,
    }
    assert policy.model_pull_resources.limits.known() == {"cpu": 2000, "memory": 4 * GI}
    assert [tier.up_to for tier in policy.tiers] == [5 * 10**9, None]
    assert policy.bounds.max.known() == {"memory": 32 * GI}
    assert (policy.wait_for_size, policy.refresh_after, policy.sources.timeout) == (1.5, 43200, 5)
    assert policy.sources.hugging_face.endpoint == "https://hub.example.com"
    assert policy.sources.hugging_face.token is not None
    assert policy.sources.hugging_face.token.key == "HF_TOKEN"
    assert policy.sources.allow_cidrs == ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("text", "where", "remedy"),
    [
        (
            "modelPullResources: {requests: {memory: 15gigs}}",
            "modelPullResources.requests.memory",
            "'15gigs' is not a quantity; write it as Kubernetes does, for example 512Mi or 15Gi",
        ),
        (
            "modelPullResources: {limits: {memory: 512m}}",
            "modelPullResources.limits.memory",
            "thousandths of a byte; did you mean 512Mi?",
        ),
        ("modelPullResources: {limits: {cpu: 2Gi}}", "modelPullResources.limits.cpu", "write cpu as 500m or 2"),
        ("bounds: {max: {cpu: two}}", "bounds.max.cpu", "'two' is not a quantity"),
        ("tiers: [{upTo: big}]", "tiers[0].upTo", "'big' is not a quantity"),
        ("waitForSize: soon", "waitForSize", "'soon' is not a duration; write a number and a unit, for example 2s"),
        ("waitForSize: 2", "waitForSize", "2 is not a duration"),
        ("sources: {allowCIDRs: [10.0.0.0/99]}", "sources.allowCIDRs[0]", "write it as 10.0.0.0/8 or fd00::/8"),
        (
            "sources: {huggingFace: {endpoint: hub}}",
            "sources.huggingFace.endpoint",
            "'hub' is not an endpoint; write it as https://hub.example.com",
        ),
        ("sources: {huggingFace: {endpoint: 'https://a:b'}}", "sources.huggingFace.endpoint", "is not an endpoint"),
        ("sources: {huggingFace: {endpoint: 'ftp://a'}}", "sources.huggingFace.endpoint", "is not an endpoint"),
        ("namespaces: {include: all}", "namespaces.include", "input should be a valid tuple"),
        ("modelPullResources: 4Gi", "modelPullResources", "input should be"),
        ("mode: Off", "mode", "YAML reads an unquoted off as false; write Auto, Recommend or Disabled"),
        ("mode: on", "mode", "YAML reads an unquoted on as true"),
        ("mode: 'Off'", "mode", "'Off' is no mode; did you mean 'Disabled'?"),
        ("mode: auto", "mode", "'auto' is no mode; did you mean 'Auto'?"),
        ("mode: Recomend", "mode", "did you mean 'Recommend'?"),
        ("mode: 7", "mode", "7 is no mode; known: Auto, Recommend, Disabled"),
    ],
)
def test_a_bad_value_is_refused_where_it_stands_with_the_remedy(text: str, where: str, remedy: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"{where}: ")
    assert remedy in problem


@pytest.mark.parametrize(
    ("text", "where", "known"),
    [
        ("modelpullresources: {}", "modelpullresources", "'modelPullResources'"),
        ("waitForSiez: 2s", "waitForSiez", "'waitForSize'"),
        ("modelPullResources: {request: {}}", "modelPullResources.request", "'requests'"),
        ("modelPullResources: {requests: {mem: 1Gi}}", "modelPullResources.requests.mem", "'memory'"),
        (
            "modelPullResources: {requests: {ephemeralStorage: 1Gi}}",
            "modelPullResources.requests.ephemeralStorage",
            "'ephemeral-storage'",
        ),
        ("tiers: [{upto: 1Gi}]", "tiers[0].upto", "'upTo'"),
        ("tiers: [{limits: {memry: 1Gi}}]", "tiers[0].limits.memry", "'memory'"),
        ("bounds: {maxi: {}}", "bounds.maxi", "'max'"),
        ("namespaces: {included: [a]}", "namespaces.included", "'include'"),
        ("services: {matchLabel: {a: b}}", "services.matchLabel", "'matchLabels'"),
        ("sources: {allowCidr: []}", "sources.allowCidr", "'allowCIDRs'"),
        ("sources: {huggingFace: {endpoints: x}}", "sources.huggingFace.endpoints", "'endpoint'"),
        (
            "sources: {huggingFace: {token: {secretName: a, namespaces: [b], keys: c}}}",
            "sources.huggingFace.token.keys",
            "'key'",
        ),
    ],
)
def test_an_unknown_key_at_any_level_names_the_nearest_known_one(text: str, where: str, known: str) -> None:
    assert problems(text) == (f"{where}: unknown key; did you mean {known}?",)


def test_a_key_that_is_near_to_none_is_answered_with_all_that_are_known() -> None:
    (problem,) = problems("bounds: {xyzzy: 1}")
    assert problem == "bounds.xyzzy: unknown key; known: max, min"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "modelPullResources: {requests: {memory: 4Gi}, limits: {memory: 1Gi}}",
            "modelPullResources: the memory limit is below the memory request; raise limits.memory or",
        ),
        ("tiers: [{requests: {cpu: 2}, limits: {cpu: 1}}]", "tiers[0]: the cpu limit is below the cpu request; "),
        (
            "bounds: {min: {memory: 2Gi}, max: {memory: 1Gi}}",
            "bounds: bounds.min.memory is above bounds.max.memory; swap them",
        ),
        (
            "modelPullResources: {limits: {ephemeral-storage: 10Gi}}",
            "modelPullResources.limits: an ephemeral-storage limit on an init container caps the whole pod",
        ),
        ("waitForSize: 5s", "waitForSize: must end a second before the webhook's own timeout of 5s; write 4s or less"),
        (
            "sources: {timeout: 0s}",
            "sources.timeout: no store answers in less than a second every time; write 1s or more",
        ),
        ("waitForSize: 4001ms", "waitForSize: must end a second before"),
        ("refreshAfter: 30s", "refreshAfter: models are asked about again at most once a minute; write 1m or more"),
        ("tiers: [{upTo: 2Gi}, {upTo: 1Gi}]", "tiers: upTo must grow from row to row; sort the rows"),
        ("tiers: [{upTo: 1Gi}, {upTo: 1Gi}]", "tiers: upTo must grow from row to row; sort the rows"),
        ("tiers: [{}, {upTo: 1Gi}]", "tiers: only the last row may lack upTo; give the others one"),
        ("- mode: Auto", "config.yaml must be a mapping of keys such as mode; it is a list"),
        ("Auto", "config.yaml must be a mapping of keys such as mode; it is a str"),
        ("mode: Auto\nmode: Disabled", "config.yaml is not valid YAML (line 2): key 'mode' is there twice"),
        ("bounds:\n  max: {cpu: 1, cpu: 2}", "config.yaml is not valid YAML (line 2): key 'cpu' is there twice"),
        ("mode: [Auto", "config.yaml is not valid YAML (line 1): expected ',' or ']'"),
        ("mode: Auto: x", "config.yaml is not valid YAML (line 1): mapping values are not allowed here"),
        ("\tmode: Auto", "config.yaml is not valid YAML (line 1): found character '\\t' that cannot start any token"),
        ("mode: Auto\x00", "config.yaml is not valid YAML: ReaderError"),
        ("a: &x {b: 1}\nc: *x", "config.yaml is not valid YAML (line 2): aliases (*name) are not allowed"),
        ("a: &x [*x]", "config.yaml is not valid YAML (line 1): aliases (*name) are not allowed"),
        (
            "mode: !!python/name:os.system x",
            "config.yaml is not valid YAML (line 1): could not determine a constructor",
        ),
        ("--- {}\n--- {}", "config.yaml is not valid YAML (line 2): but found another document"),
        ("a: " + "[" * 5000, "config.yaml is not valid YAML: RecursionError"),
    ],
)
def test_a_text_that_cannot_be_a_policy_is_refused_in_words(text: str, problem: str) -> None:
    (found,) = problems(text)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "text", ["mode: !!bool maybe", "mode: !!int ''", "a: !!timestamp now", "a: !!float x", "a: !!int x", "!!omap x"]
)
def test_a_tag_that_does_not_fit_its_value_is_refused(text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith("config.yaml is not valid YAML")


def test_a_billion_laughs_are_refused_at_the_first() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 30)]
    (problem,) = problems("\n".join(lines))
    assert problem == "config.yaml is not valid YAML (line 2): aliases (*name) are not allowed"


def test_every_problem_of_a_text_is_named_at_once() -> None:
    found = problems("waitForSize: soon\ntypo: 1\nbounds: {max: {cpu: lots}}")
    assert {problem.partition(":")[0] for problem in found} == {"waitForSize", "typo", "bounds.max.cpu"}


def test_the_wait_may_end_just_a_second_before_the_webhook_does() -> None:
    assert load_policy("waitForSize: 4s").wait_for_size == 4
    assert load_policy("waitForSize: 0s").wait_for_size == 0


def test_requests_alone_and_limits_alone_are_a_policy() -> None:
    assert load_policy("modelPullResources: {requests: {memory: 4Gi}}").model_pull_resources.limits.known() == {}
    block = load_policy("modelPullResources: {limits: {memory: 512Mi}}").model_pull_resources
    assert (block.requests.known(), block.limits.known()) == ({}, {"memory": 512 * MI})


@pytest.mark.parametrize(
    ("namespace", "labels", "selected"),
    [
        ("team-a", {"tier": "gold"}, True),
        ("team-a", {"tier": "gold", "other": "x"}, True),
        ("team-a", {"tier": "tin"}, False),
        ("team-a", {}, False),
        ("team-x", {"tier": "gold"}, False),
        ("teams", {"tier": "gold"}, False),
        ("TEAM-a", {"tier": "gold"}, False),
    ],
)
def test_a_pod_is_selected_by_its_namespace_and_its_labels(
    namespace: str, labels: dict[str, str], selected: bool
) -> None:
    text = "{namespaces: {include: [team-*], exclude: [team-x]}, services: {matchLabels: {tier: gold}}}"
    assert load_policy(text).selects(namespace, labels) is selected


def test_without_a_selection_every_pod_is_selected() -> None:
    assert Policy().selects("any", {})


WORD = st.sampled_from(
    ["mode", "Auto", "tiers", "upTo", "requests", "memory", "1Gi", "-", "!!int", "&a", "*a", "<<", "%"]
)
YAML_LIKE = st.lists(
    st.one_of(WORD, st.sampled_from([":", ": ", "\n", "\n  ", "{", "}", "[", "]", ",", "'", '"', "|", ">", "? "])),
    max_size=20,
).map("".join)


@given(text=st.text(max_size=80) | YAML_LIKE)
def test_any_text_is_a_policy_or_an_invalid_policy(text: str) -> None:
    try:
        load_policy(text)
    except InvalidPolicy as error:
        found = error.problems
    else:
        return
    assert found
    "".join(found).encode()  # can be sent to the person who wrote it


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    key=st.sampled_from([field.alias or name for name, field in Policy.model_fields.items()]),
    value=VALUE,
)
def test_any_value_of_a_known_key_is_taken_or_refused(key: str, value: object) -> None:
    try:
        load_policy(json.dumps({key: value}))
    except InvalidPolicy as error:
        found = error.problems
    else:
        return
    assert all(problem.strip() for problem in found)


@given(st.text(max_size=12) | st.booleans() | st.none() | st.integers())
def test_any_mode_is_one_of_three_or_an_invalid_value(value: object) -> None:
    try:
        mode = parse_mode(value)
    except InvalidValue:
        return
    assert mode == value
    assert mode in ("Auto", "Recommend", "Disabled")
