"""What a pod says about itself, by Kubernetes' own rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.errors import InvalidQuantity
from pullsizer.pod import Resources, medium_of, pod_resources, resources_of, set_by_limit_ranger
from pullsizer.quantity import GI, MI

Spec = dict[str, Any]


def container(*, restart: str | None = None, **amounts: str) -> Spec:
    """A container by `cpu_request`, `memory_limit` and so on."""
    resources: dict[str, dict[str, str]] = {}
    for key, value in amounts.items():
        name, _, side = key.rpartition("_")
        resources.setdefault(f"{side}s", {})[name.replace("_", "-")] = value
    found: Spec = {"name": "c", "resources": resources}
    return found | {"restartPolicy": restart} if restart else found


def test_requests_and_limits_are_read_as_whole_numbers() -> None:
    found = resources_of(container(cpu_request="100m", memory_request="100Mi", cpu_limit="1", memory_limit="1Gi"))
    assert found == Resources({"cpu": 100, "memory": 100 * MI}, {"cpu": 1000, "memory": GI})


def test_a_limit_without_a_request_is_a_request_too() -> None:
    assert resources_of(container(memory_limit="1Gi")) == Resources({"memory": GI}, {"memory": GI})


@pytest.mark.parametrize("block", [None, {}, {"requests": None}, {"limits": {}}, {"requests": {"nvidia.com/gpu": "1"}}])
def test_no_resources_that_we_size_are_none(block: object) -> None:
    assert resources_of({"resources": block}) == Resources()


def test_a_quantity_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(InvalidQuantity):
        resources_of(container(memory_limit="lots"))


BEFORE = container(restart="Always", cpu_request="1", memory_request="1Gi")
AFTER = container(restart="Always", cpu_request="2", memory_request="2Gi")
PLAIN = container(cpu_request="64", memory_request="64Gi")
APP = container(cpu_request="4", memory_request="4Gi", ephemeral_storage_request="8Gi")


@pytest.mark.parametrize(
    ("inits", "index", "cpu", "memory"),
    [
        ([PLAIN], 0, 4000, 4 * GI),
        ([BEFORE, PLAIN], 1, 4000, 4 * GI),
        ([PLAIN, AFTER], 0, 6000, 6 * GI),
        ([BEFORE, PLAIN, AFTER], 1, 6000, 6 * GI),
        ([BEFORE, PLAIN, PLAIN, AFTER], 1, 6000, 6 * GI),
    ],
    ids=["alone", "sidecar before", "sidecar after", "sidecars around", "another init container is never beside it"],
)
def test_what_the_app_requests_anyway_is_free_and_sidecars_count_only_after(
    inits: list[Spec], index: int, cpu: int, memory: int
) -> None:
    free = pod_resources({"initContainers": inits, "containers": [APP]}).headroom(index)
    assert free == {"cpu": cpu, "memory": memory, "ephemeral-storage": 8 * GI}


def effective(spec: Spec, name: str) -> int:
    """A pod's effective request, as k8s.io/component-helpers/resource computes it."""
    apps = sum(resources_of(item).requests.get(name, 0) for item in spec["containers"])
    sidecars, largest = 0, 0
    for item in spec["initContainers"]:
        amount = resources_of(item).requests.get(name, 0)
        if item.get("restartPolicy") == "Always":
            sidecars += amount
            largest = max(largest, sidecars)
        else:
            largest = max(largest, sidecars + amount)
    return max(apps + sidecars, largest)


@given(
    apps=st.lists(st.integers(0, 8), min_size=1, max_size=3),
    inits=st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=4),
    position=st.integers(0, 4),
)
def test_the_headroom_is_exactly_what_costs_the_pod_nothing(
    apps: list[int], inits: list[tuple[int, bool]], position: int
) -> None:
    position = min(position, len(inits))

    def spec(request: int) -> Spec:
        found = [container(restart="Always" if sidecar else None, cpu_request=str(cpu)) for cpu, sidecar in inits]
        found.insert(position, container(cpu_request=f"{request}m"))
        return {"containers": [container(cpu_request=str(cpu)) for cpu in apps], "initContainers": found}

    free = pod_resources(spec(0)).headroom(position)["cpu"]
    without = effective(spec(0), "cpu")
    assert effective(spec(free), "cpu") == without
    others = [cpu for cpu, sidecar in inits if not sidecar]
    if not others:  # else another init container may need more than the app
        assert effective(spec(free + 1), "cpu") == without + 1


FULL = container(cpu_limit="1", memory_limit="1Gi")


@pytest.mark.parametrize(
    ("spec", "qos"),
    [
        ({"containers": [container()]}, "BestEffort"),
        ({"containers": [FULL]}, "Guaranteed"),
        ({"containers": [FULL], "initContainers": [FULL]}, "Guaranteed"),
        ({"containers": [FULL], "initContainers": [container()]}, "Burstable"),
        ({"containers": [FULL], "initContainers": [container(cpu_request="100m", cpu_limit="1")]}, "Burstable"),
        ({"containers": [FULL, container(memory_limit="1Gi")]}, "Burstable"),
        ({"containers": [container(cpu_request="1")]}, "Burstable"),
        ({"containers": [container(cpu_request="0", memory_limit="0")]}, "BestEffort"),
        ({"containers": [container(ephemeral_storage_request="1Gi")]}, "BestEffort"),
        ({"containers": [container()], "resources": FULL["resources"]}, "Guaranteed"),
        ({"containers": [FULL], "resources": {"requests": {"cpu": "1"}}}, "Burstable"),
    ],
)
def test_the_qos_class_is_kubernetes_own(spec: Spec, qos: str) -> None:
    assert pod_resources(spec).qos() == qos


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", set()),
        ("LimitRanger plugin set: cpu request for container kserve-container", set()),
        (
            "LimitRanger plugin set: cpu, memory request for init container storage-initializer",
            {("cpu", "request"), ("memory", "request")},
        ),
        (
            (
                "LimitRanger plugin set: cpu, memory request for container a; memory limit for container a; "
                "cpu request for init container storage-initializer; "
                "ephemeral-storage, memory limit for init container storage-initializer"
            ),
            {("cpu", "request"), ("ephemeral-storage", "limit"), ("memory", "limit")},
        ),
        ("LimitRanger plugin set: cpu limit for init container storage-initializer-1", set()),
        ("LimitRanger plugin set: cpu limit for init container my-storage-initializer", set()),
        ("cpu request for init container storage-initializer", set()),
        ("LimitRanger plugin set: ,,, request for init container storage-initializer", set()),
    ],
)
def test_what_the_limit_ranger_set_is_read_from_its_annotation(text: str, values: set[tuple[str, str]]) -> None:
    assert set_by_limit_ranger({"kubernetes.io/limit-ranger": text}, "storage-initializer") == values


def test_without_the_limit_rangers_annotation_it_set_nothing() -> None:
    assert set_by_limit_ranger(None, "storage-initializer") == frozenset()


VOLUMES: list[Spec] = [
    {"name": "disk", "emptyDir": {}},
    {"name": "null", "emptyDir": None},
    {"name": "memory", "emptyDir": {"medium": "Memory"}},
    {"name": "huge", "emptyDir": {"medium": "HugePages"}},
    {"name": "claim", "persistentVolumeClaim": {"claimName": "x"}},
    {"name": "fresh", "ephemeral": {"volumeClaimTemplate": {}}},
]


@pytest.mark.parametrize(
    ("mounts", "medium"),
    [
        ([("disk", "/mnt/models")], "disk"),
        ([("null", "/mnt/models")], "disk"),
        ([("memory", "/mnt/models")], "memory"),
        ([("memory", "/mnt/models/")], "memory"),
        ([("huge", "/mnt/models")], "disk"),
        ([("claim", "/mnt/models")], "elsewhere"),
        ([("fresh", "/mnt/models")], "elsewhere"),
        ([("gone", "/mnt/models")], "elsewhere"),
        ([], "disk"),
        ([("claim", "/mnt/other")], "disk"),
        ([("claim", "/mnt/model")], "disk"),
        ([("claim", "/mnt")], "elsewhere"),
        ([("claim", "/")], "elsewhere"),
        ([("claim", "/mnt"), ("memory", "/mnt/models")], "memory"),
        ([("memory", "/mnt/models"), ("claim", "/mnt")], "memory"),
    ],
)
def test_the_medium_is_that_of_the_innermost_mount(mounts: list[tuple[str, str]], medium: str) -> None:
    puller = {"volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts]}
    assert medium_of({"volumes": VOLUMES}, puller, "/mnt/models") == medium


def test_a_note_of_the_limit_ranger_that_somebody_else_wrote_takes_no_time() -> None:
    for text in ("a" * 250_000, "LimitRanger plugin set: " + "a, " * 5_000, "x: " + "; " * 5_000):
        assert set_by_limit_ranger({"kubernetes.io/limit-ranger": text}, "storage-initializer") == frozenset()
