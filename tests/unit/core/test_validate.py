"""What `kubectl apply` is told: only about what a change adds or changes, and never so that an object is stuck."""

from __future__ import annotations

from typing import Any

import pytest

from pullsizer.admission.review import Request
from pullsizer.admission.validate import ALLOWED, Verdict, validate

CONTROLLER = "system:serviceaccount:kserve:kserve-controller-manager"
BAD = {"pullsizer.dev/memory-limit": "15gigs"}


def verdict(
    annotations: dict[str, str] | None = None,
    before: dict[str, str] | None = None,
    *,
    kind: str = "InferenceService",
    deleting: bool = False,
    **changes: Any,
) -> Verdict:
    metadata: dict[str, Any] = {"name": "llama", "annotations": annotations}
    if deleting:
        metadata["deletionTimestamp"] = "2027-01-01T00:00:00Z"
    values: dict[str, Any] = {
        "api_version": "admission.k8s.io/v1",
        "uid": "u",
        "kind": kind,
        "operation": "CREATE" if before is None else "UPDATE",
        "namespace": "team-a",
        "object": {"metadata": metadata},
        "old_object": {} if before is None else {"metadata": {"annotations": before}},
        "user": "jane",
        "dry_run": False,
        "subresource": "",
    }
    return validate(Request(**{**values, **changes}), "pullsizer-system", "kserve")


@pytest.mark.parametrize("kind", ["InferenceService", "LLMInferenceService"])
def test_a_bad_value_is_refused_with_key_value_and_remedy(kind: str) -> None:
    assert verdict(BAD, kind=kind).denied == (
        "metadata.annotations: pullsizer.dev/memory-limit: '15gigs' is not a quantity; "
        "write it as Kubernetes does, for example 512Mi or 15Gi"
    )


def test_every_bad_value_is_named_at_once() -> None:
    denied = verdict({**BAD, "pullsizer.dev/mode": "Off"}).denied
    assert "pullsizer.dev/memory-limit: '15gigs'" in denied
    assert "pullsizer.dev/mode: 'Off' is no mode; did you mean 'Disabled'?" in denied


@pytest.mark.parametrize(
    "annotations",
    [None, {}, {"pullsizer.dev/memory-limit": "15Gi"}, {"other.dev/memory-limit": "15gigs"}],
)
def test_good_annotations_and_those_of_others_are_allowed(annotations: dict[str, str] | None) -> None:
    assert verdict(annotations) == ALLOWED


def test_an_unknown_key_is_a_warning_and_no_refusal() -> None:
    found = verdict({"pullsizer.dev/memory-limits": "15Gi"})
    assert found.denied == ""
    (warning,) = found.warnings
    assert warning.startswith("metadata.annotations: pullsizer.dev/memory-limits: is not an annotation that Pullsizer")
    assert warning.endswith("; did you mean 'memory-limit'?")


def test_a_warning_comes_with_a_refusal_too() -> None:
    found = verdict({**BAD, "pullsizer.dev/sizing": "{}"})
    assert found.denied
    assert len(found.warnings) == 1


def test_what_was_bad_before_may_stay_bad() -> None:
    assert verdict(BAD, before=BAD) == ALLOWED
    assert verdict({**BAD, "team": "a"}, before=BAD) == ALLOWED
    assert verdict({**BAD, "pullsizer.dev/cpu-limit": "2"}, before=BAD) == ALLOWED


def test_an_unknown_key_that_was_there_before_warns_no_more() -> None:
    old = {"pullsizer.dev/typo": "x"}
    assert verdict({**old, "team": "a"}, before=old) == ALLOWED


def test_a_bad_value_that_changes_is_refused_while_it_is_bad() -> None:
    assert "'16gigs'" in verdict({"pullsizer.dev/memory-limit": "16gigs"}, before=BAD).denied
    assert verdict({"pullsizer.dev/memory-limit": "16Gi"}, before=BAD) == ALLOWED
    assert verdict({}, before=BAD) == ALLOWED


@pytest.mark.parametrize(
    "changed", [{"pullsizer.dev/memory-limit": "1Gi"}, {"storage.kserve.io/initializer-memory-limit": "1Gi"}]
)
def test_a_limit_set_below_a_request_of_before_is_refused(changed: dict[str, str]) -> None:
    old = {"pullsizer.dev/memory-request": "4Gi"}
    assert "'1Gi' is below the memory request of 4Gi; raise the limit or lower the request" in (
        verdict({**old, **changed}, before=old).denied
    )


def test_a_request_raised_above_a_limit_of_before_is_refused() -> None:
    old = {"pullsizer.dev/memory-limit": "1Gi", "pullsizer.dev/memory-request": "1Gi"}
    assert (
        "below the memory request of 4Gi" in verdict({**old, "pullsizer.dev/memory-request": "4Gi"}, before=old).denied
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"deleting": True},
        {"subresource": "status"},
        {"operation": "DELETE"},
        {"operation": "CONNECT"},
        {"user": CONTROLLER},
        {"kind": "Pod"},
        {"kind": ""},
    ],
    ids=str,
)
def test_what_is_not_ours_to_judge_is_passed_over(changes: dict[str, Any]) -> None:
    assert verdict(BAD, before={}, **changes) == ALLOWED


@pytest.mark.parametrize(
    "user", ["system:serviceaccount:kserve-fake:x", "system:serviceaccount:team-a:kserve", "kserve"]
)
def test_an_account_that_only_looks_like_kserves_is_judged(user: str) -> None:
    assert verdict(BAD, user=user).denied


def configmap(
    data: dict[str, str] | None, *, name: str = "pullsizer-config", namespace: str = "pullsizer-system"
) -> Verdict:
    return verdict(kind="ConfigMap", namespace=namespace, object={"metadata": {"name": name}, "data": data})


def test_a_wrong_policy_is_refused_with_every_problem() -> None:
    assert configmap({"config.yaml": "mode: Off\nwaitForSiez: 2s\n"}).denied.startswith(
        "pullsizer-config: mode: YAML reads"
    )
    denied = configmap({"config.yaml": "waitForSiez: 2s\nwaitForSize: soon"}).denied
    assert "waitForSiez: unknown key; did you mean 'waitForSize'?" in denied
    assert "waitForSize: 'soon' is not a duration" in denied


def test_a_policy_that_was_bad_before_is_judged_all_the_same() -> None:
    # No ratchet here: the one object has one owner, and what is wrong in it is never accepted anyway.
    assert configmap({"config.yaml": "mode: Off"}).denied


@pytest.mark.parametrize("data", [{"config.yaml": "mode: Auto"}, {"config.yaml": ""}, {}, None])
def test_a_good_policy_is_allowed(data: dict[str, str] | None) -> None:
    assert configmap(data) == ALLOWED


def test_a_policy_under_another_key_is_a_warning() -> None:
    assert configmap({"config.yml": "mode: Auto"}).warnings == (
        "pullsizer-config: key 'config.yml' is not read; the policy is under 'config.yaml'",
    )


@pytest.mark.parametrize(
    "place", [{"name": "other"}, {"namespace": "team-a"}, {"name": "pullsizer-config-accepted"}], ids=str
)
def test_no_other_configmap_is_judged(place: dict[str, str]) -> None:
    assert configmap({"config.yaml": "mode: Off"}, **place) == ALLOWED


def test_very_many_problems_are_cut_short() -> None:
    text = "\n".join(f"typo{number}: 1" for number in range(500))
    assert configmap({"config.yaml": text}).denied.count("unknown key") == 10
