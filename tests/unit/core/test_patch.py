"""Patches: sure to apply, and checked before they are sent."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.admission.patch import (
    UnsafePatch,
    annotation_operations,
    check,
    environment_operations,
    resource_operations,
    token_mount_operations,
)
from pullsizer.pod import Resources
from pullsizer.quantity import GI

Json = dict[str, Any]
DECIDED = Resources({"cpu": 500, "memory": GI}, {"cpu": 1000, "memory": 2 * GI})


def pod(container: Json | None = None, **metadata: Any) -> Json:
    return {"metadata": metadata, "spec": {"initContainers": [{"name": "other"}, {"name": "c", **(container or {})}]}}


def applied(item: Json, operations: list[Json]) -> Json:
    result: Json = jsonpatch.apply_patch(copy.deepcopy(item), operations)
    return result


@pytest.mark.parametrize("resources", [None, {}, {"requests": None, "limits": {}}, {"limits": {"memory": "1Gi"}}])
def test_decided_values_are_put_over_the_containers_own(resources: Json | None) -> None:
    item = pod({"resources": resources})
    operations = resource_operations(1, item["spec"]["initContainers"][1], DECIDED)
    check(item, operations, {1: DECIDED})
    assert applied(item, operations)["spec"]["initContainers"][1]["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "1", "memory": "2Gi"},
    }


def test_devices_and_claims_of_the_container_stay() -> None:
    container = {"resources": {"limits": {"example.com/nic": "1", "cpu": "9"}, "claims": [{"name": "nic"}]}}
    (operation,) = resource_operations(1, container, DECIDED)
    assert operation["value"]["claims"] == [{"name": "nic"}]
    assert operation["value"]["limits"] == {"example.com/nic": "1", "cpu": "1", "memory": "2Gi"}


@pytest.mark.parametrize("env", [None, []])
def test_variables_of_a_container_without_any_are_one_list(env: list[Json] | None) -> None:
    item = pod({"env": env})
    operations = environment_operations(1, item["spec"]["initContainers"][1], {"A": "1", "B": "2"})
    assert applied(item, operations)["spec"]["initContainers"][1]["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
    ]


def test_a_variable_that_is_there_is_changed_in_place_and_one_from_elsewhere_is_left() -> None:
    env = [{"name": "X", "value": "x"}, {"name": "A", "value": "0"}, {"name": "B", "valueFrom": {"fieldRef": {}}}]
    item = pod({"env": env})
    operations = environment_operations(1, item["spec"]["initContainers"][1], {"A": "1", "B": "2", "C": "3"})
    assert applied(item, operations)["spec"]["initContainers"][1]["env"] == [
        {"name": "X", "value": "x"},
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"fieldRef": {}}},
        {"name": "C", "value": "3"},
    ]


def test_no_variables_to_set_are_no_operations() -> None:
    assert environment_operations(1, {}, {}) == []


@pytest.mark.parametrize("metadata", [{}, {"annotations": None}, {"annotations": {}}, {"annotations": {"a/b": "c"}}])
def test_an_annotation_is_added_whether_or_not_there_are_any(metadata: Json) -> None:
    item = {"metadata": metadata}
    result = applied(item, annotation_operations(metadata, "text"))
    assert result["metadata"]["annotations"] == {**(metadata.get("annotations") or {}), "pullsizer.dev/sizing": "text"}


TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUMES: list[Json] = [{"name": "models", "emptyDir": {}}, {"name": "kube-api-access-ab1cd", "projected": {}}]
MOUNTS: list[Json] = [{"name": "models", "mountPath": "/mnt/models"}]


def test_the_token_is_mounted_as_the_service_account_plugin_would() -> None:
    item = pod({"volumeMounts": MOUNTS})
    operations = token_mount_operations(1, {"volumes": VOLUMES}, item["spec"]["initContainers"][1])
    assert applied(item, operations)["spec"]["initContainers"][1]["volumeMounts"] == [
        *MOUNTS,
        {"name": "kube-api-access-ab1cd", "readOnly": True, "mountPath": TOKEN},
    ]


@pytest.mark.parametrize(
    ("spec", "container"),
    [
        ({"volumes": VOLUMES, "automountServiceAccountToken": False}, {"volumeMounts": MOUNTS}),
        ({"volumes": VOLUMES}, {"volumeMounts": [*MOUNTS, {"name": "mine", "mountPath": TOKEN}]}),
        ({"volumes": VOLUMES}, {}),
        ({"volumes": VOLUMES[:1]}, {"volumeMounts": MOUNTS}),
        ({"volumes": [{"name": "kube-api-access-x", "secret": {}}]}, {"volumeMounts": MOUNTS}),
        ({"volumes": [{"name": "my-projected", "projected": {}}]}, {"volumeMounts": MOUNTS}),
        ({"volumes": None}, {"volumeMounts": MOUNTS}),
    ],
    ids=["not wanted", "mounted", "no mounts", "no volume", "a secret", "somebody's own", "null"],
)
def test_a_token_that_is_not_ours_to_mount_is_left(spec: Json, container: Json) -> None:
    assert token_mount_operations(1, spec, container) == []


def add(path: str, value: object) -> Json:
    return {"op": "add", "path": path, "value": value}


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (add("/spec/initContainers/7/resources", {}), "a path leads to no item of a list"),
        (add("/spec/initContainers/x/resources", {}), "a path leads to no item of a list"),
        (add("/spec/initContainers/-/resources", {}), "a path leads to no item of a list"),
        (add("/spec/initContainers/1", {}), "a path leads to no item of a list"),
        (add("/spec/initContainers/1/env/-", {}), "a path leads to nothing"),
        (add("/metadata/annotations/a", "x"), "a path leads to nothing"),
        (add("/metadata/name/x", "x"), "a path leads through what is no object"),
    ],
)
def test_a_path_that_misses_is_unsafe(operation: Json, problem: str) -> None:
    with pytest.raises(UnsafePatch, match=problem):
        check(pod(name="p"), [operation], {})


@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        ({"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi", "cpu": "1"}}, "the memory request would not be as"),
        ({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}, "the cpu limit would not be as"),
        (
            {
                "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "2Gi"},
                "limits": {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "1Gi"},
            },
            "the ephemeral-storage request would be above its limit",
        ),
    ],
)
def test_a_patch_that_would_not_do_what_was_decided_is_unsafe(resources: Json, problem: str) -> None:
    with pytest.raises(UnsafePatch, match=problem):
        check(pod(), [add("/spec/initContainers/1/resources", resources)], {1: DECIDED})


def test_a_path_through_a_key_with_a_slash_or_a_tilde_is_read_as_the_api_server_reads_it() -> None:
    item = pod(labels={"a/b": {}, "a~b": {}, "a~1b": {}})
    operations = [add(f"/metadata/labels/{key}/x", "y") for key in ("a~1b", "a~0b", "a~01b")]
    check(item, operations, {})
    assert applied(item, operations)["metadata"]["labels"] == {"a/b": {"x": "y"}, "a~b": {"x": "y"}, "a~1b": {"x": "y"}}
    with pytest.raises(UnsafePatch, match="a path leads to nothing"):
        check(item, [add("/metadata/labels/a/b/x", "y")], {})


def test_checking_leaves_the_pod_as_it_was() -> None:
    item = pod({"resources": {}})
    before = copy.deepcopy(item)
    check(item, resource_operations(1, item["spec"]["initContainers"][1], DECIDED), {1: DECIDED})
    assert item == before


NAME = st.sampled_from(["A", "B", "C"])
VARIABLE = st.fixed_dictionaries({"name": NAME}, optional={"value": st.just("0"), "valueFrom": st.just({"x": {}})})
QUANTITIES = st.dictionaries(st.sampled_from(["cpu", "memory", "example.com/gpu"]), st.just("1"), max_size=3)


@given(
    env=st.none() | st.lists(VARIABLE, max_size=4),
    requests=st.none() | QUANTITIES,
    annotations=st.none() | st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
    environment=st.dictionaries(NAME, st.just("1")),
)
def test_whatever_the_container_has_the_patch_applies_and_passes_its_own_check(
    env: list[Json] | None, requests: Json | None, annotations: Json | None, environment: dict[str, str]
) -> None:
    item = pod({"env": env, "resources": {"requests": requests}}, annotations=annotations)
    container = item["spec"]["initContainers"][1]
    operations = [
        *resource_operations(1, container, DECIDED),
        *environment_operations(1, container, environment),
        *annotation_operations(item["metadata"], "text"),
    ]
    check(item, operations, {1: DECIDED})
    result = applied(item, operations)
    found = result["spec"]["initContainers"][1]
    assert found["resources"]["limits"]["memory"] == "2Gi"
    for variable in found.get("env") or ():
        assert not ("valueFrom" in variable and variable.get("value") == "1")
    assert result["metadata"]["annotations"]["pullsizer.dev/sizing"] == "text"
