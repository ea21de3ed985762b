"""KServe's own configuration: what it calls its pull containers, and what it gives them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pullsizer.kserve import DEFAULT, SHIPPED, KServe, kserve_configuration
from pullsizer.quantity import GI, MI


def configmap(block: object) -> dict[str, Any]:
    return {"data": {"storageInitializer": block if isinstance(block, str) else json.dumps(block)}}


def storage_container(name: str = "storage-initializer", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "x"},
        "spec": {"container": {"name": name, **spec.pop("container", {})}, "workloadType": "initContainer", **spec},
    }


def test_without_a_configuration_it_is_as_shipped() -> None:
    assert kserve_configuration(None, []) == DEFAULT == KServe(frozenset({"storage-initializer"}), SHIPPED)


def test_values_of_the_configmap_are_defaults_beside_those_shipped() -> None:
    block = {"cpuRequest": "200m", "cpuLimit": "2", "memoryRequest": "512Mi", "memoryLimit": "24Gi", "image": "x"}
    found = kserve_configuration(configmap(block), [])
    assert found.defaults - SHIPPED == {
        ("cpu", "request", 200),
        ("cpu", "limit", 2000),
        ("memory", "request", 512 * MI),
        ("memory", "limit", 24 * GI),
    }
    assert found.defaults >= SHIPPED


@pytest.mark.parametrize(
    "block",
    ["", "{", "[]", "null", "7", '"text"', "[" * 5000, "{}", {"memoryLimit": "lots"}, {"memoryLimit": None}],
)
def test_a_broken_configmap_is_passed_over(block: object) -> None:
    found = kserve_configuration(configmap(block), [])
    assert (found.containers, found.defaults, found.image) == (DEFAULT.containers, DEFAULT.defaults, DEFAULT.image)


@pytest.mark.parametrize("item", [{}, {"data": None}, {"data": {}}])
def test_a_configmap_without_the_key_is_passed_over(item: dict[str, Any]) -> None:
    found = kserve_configuration(item, [])
    assert (found.containers, found.defaults, found.image) == (DEFAULT.containers, DEFAULT.defaults, DEFAULT.image)


def test_a_good_value_beside_a_broken_one_counts() -> None:
    found = kserve_configuration(configmap({"memoryLimit": "2Gi", "memoryRequest": "x"}), [])
    assert found.defaults - SHIPPED == {("memory", "limit", 2 * GI)}


def test_a_cluster_storage_container_may_rename_the_container_and_give_it_other_values() -> None:
    resources = {"requests": {"memory": "3Gi", "ephemeral-storage": "5Gi"}, "limits": {"memory": "6Gi"}}
    found = kserve_configuration(None, [storage_container("model-fetcher", container={"resources": resources})])
    assert found.containers == {"storage-initializer", "model-fetcher"}
    assert found.defaults - SHIPPED == {
        ("memory", "request", 3 * GI),
        ("memory", "limit", 6 * GI),
        ("ephemeral-storage", "request", 5 * GI),
    }


def test_the_container_of_a_download_job_is_none_of_a_pod() -> None:
    item = storage_container("job", workloadType="localModelDownloadJob")
    assert kserve_configuration(None, [item]) == DEFAULT


def test_a_storage_container_of_no_workload_type_is_for_init_containers() -> None:
    found = kserve_configuration(None, [{"spec": {"container": {"name": "fetch"}}}])
    assert found.containers == {"storage-initializer", "fetch"}


@pytest.mark.parametrize("item", [{}, {"spec": None}, {"spec": {"container": None}}, {"spec": {}}])
def test_an_empty_storage_container_is_passed_over(item: dict[str, Any]) -> None:
    assert kserve_configuration(None, [item]) == DEFAULT


def test_a_storage_container_with_a_broken_quantity_still_names_its_container() -> None:
    item = storage_container("fetch", container={"resources": {"limits": {"memory": "lots"}}})
    assert kserve_configuration(None, [item]) == KServe(frozenset({"storage-initializer", "fetch"}), SHIPPED)
