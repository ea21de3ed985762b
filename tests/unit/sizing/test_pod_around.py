"""What the pod around the container allows and asks for: headroom, QoS, disk, and a downloader that needs less."""

from __future__ import annotations

from typing import Any, Final

import pytest

from pullsizer.limits import NamespaceLimits
from pullsizer.overrides import Overrides
from pullsizer.quantity import GI, MI
from pullsizer.sizing import decide
from pullsizer.sizing.tuning import TUNED
from tests.unit.sizing.examples import (
    DISK,
    HTTP,
    KSERVE_ENVIRONMENT,
    LARGE,
    NO_ANSWER,
    SMALL,
    amounts,
    asked,
    container,
    given,
    inputs,
    policy,
)

# -- the pod around it ------------------------------------------------------------------------------------------------


def test_a_request_is_raised_to_what_the_app_requests_anyway() -> None:
    found = decide(inputs(SMALL, headroom={"cpu": 4000, "memory": 16 * GI}))
    assert [given(found, side, name) for name in ("cpu", "memory") for side in ("request", "limit")] == [
        "1",
        "1",
        "896Mi",
        "896Mi",
    ]
    assert "cpu request raised to 1: free, the pod's other containers request more" in found.reasons


def test_a_little_headroom_raises_a_request_as_far_as_it_goes() -> None:
    assert given(decide(inputs(SMALL, headroom={"cpu": 250})), "request", "cpu") == "250m"
    assert given(decide(inputs(SMALL, headroom={"cpu": 50})), "request", "cpu") == "100m"


def test_an_annotated_request_is_not_raised_to_the_headroom() -> None:
    found = decide(inputs(SMALL, headroom={"cpu": 4000}, overrides=asked(cpu_request="200m")))
    assert given(found, "request", "cpu") == "200m"


def test_disk_is_never_raised_to_the_headroom() -> None:
    found = decide(inputs(SMALL, headroom={DISK: 100 * GI}))
    assert given(found, "request", DISK) == "288Mi"


def test_of_a_pods_own_request_all_is_free() -> None:
    found = decide(inputs(SMALL, headroom={"cpu": 4000}, pod_level=amounts(cpu_request="600m", cpu_limit="8")))
    assert given(found, "request", "cpu") == "600m"


def test_a_guaranteed_pod_stays_guaranteed() -> None:
    current = amounts(cpu_limit="1", memory_limit="1Gi")
    found = decide(inputs(SMALL, qos="Guaranteed", current=current, overrides=asked(memory_request="64Mi")))
    assert found.resources is not None
    assert {name: found.resources.requests[name] for name in ("cpu", "memory")} == found.resources.limits
    assert found.reasons[-1] == "requests equal limits: the pod is Guaranteed and stays so"


def test_a_pod_that_is_guaranteed_by_its_own_resources_is_so_whatever_the_container_has() -> None:
    pod = amounts(cpu_limit="8", memory_limit="32Gi")
    found = decide(inputs(SMALL, qos="Guaranteed", pod_level=pod, overrides=asked(memory_request="64Mi")))
    assert given(found, "request", "memory") == "64Mi"


# -- disk -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("medium", "request_"), [("disk", "60160Mi"), ("memory", None), ("elsewhere", None)])
def test_ephemeral_storage_is_requested_for_a_disk_only(medium: str, request_: str | None) -> None:
    found = decide(inputs(LARGE, container=container(medium=medium)))  # type: ignore[arg-type]
    assert given(found, "request", DISK) == request_


def test_ephemeral_storage_is_never_limited() -> None:
    assert given(decide(inputs(LARGE, policy=policy(bounds={"min": {DISK: "100Gi"}}))), "limit", DISK) is None


@pytest.mark.parametrize(
    ("largest_node", "request_"), [(None, "60160Mi"), (60160 * MI, "60160Mi"), (60160 * MI - 1, None)]
)
def test_ephemeral_storage_is_left_out_where_no_known_node_could_hold_it(
    largest_node: int | None, request_: str | None
) -> None:
    found = decide(inputs(LARGE, node_disk=largest_node))
    assert given(found, "request", DISK) == request_
    assert any("no known node has 60160Mi" in reason for reason in found.reasons) is (request_ is None)


def test_an_annotated_request_for_disk_stands_on_any_node_and_medium() -> None:
    wanted = asked(ephemeral_storage_request="90Gi")
    found = decide(inputs(LARGE, container=container(medium="elsewhere"), node_disk=GI, overrides=wanted))
    assert given(found, "request", DISK) == "90Gi"


@pytest.mark.parametrize(
    "changes",
    [
        {"current": amounts(ephemeral_storage_limit="10Gi")},
        {
            "current": amounts(ephemeral_storage_limit="10Gi"),
            "limit_ranger": frozenset({(DISK, "limit"), (DISK, "request")}),
        },
        {"limits": NamespaceLimits(default={DISK: 10 * GI})},
    ],
    ids=["a person's", "the LimitRanger's", "the LimitRanger's, once it runs again"],
)
def test_the_request_for_disk_is_never_above_a_limit_that_the_container_has_or_will_have(
    changes: dict[str, object],
) -> None:
    found = decide(inputs(LARGE, **changes))
    assert given(found, "request", DISK) == "10Gi"
    assert (
        "ephemeral-storage request lowered from 60160Mi to 10Gi: its limit; the pull may run out of disk"
        in found.reasons
    )


def test_in_memory_the_model_counts_as_memory() -> None:
    disk = decide(inputs(SMALL))
    memory = decide(inputs(SMALL, container=container(medium="memory")))
    assert disk.resources is not None
    assert memory.resources is not None
    assert memory.resources.limits["memory"] - disk.resources.limits["memory"] >= SMALL.bytes


# -- the tuned downloader ---------------------------------------------------------------------------------------------


AUTO: Final = policy(downloader={"tune": "Auto"})


def test_unless_somebody_asks_for_it_the_downloader_is_left_as_it_is() -> None:
    assert decide(inputs(LARGE)).environment == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": AUTO},
        {"overrides": Overrides(tune="Auto")},
        {"overrides": Overrides(tune="Auto"), "policy": policy(downloader={"tune": "Disabled"})},
    ],
    ids=["by the policy", "by annotation", "by annotation against the policy"],
)
def test_where_it_is_asked_for_the_downloader_is_told_to_use_small_buffers(changes: dict[str, Any]) -> None:
    found = decide(inputs(LARGE, **changes))
    assert found.environment == TUNED
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["320Mi", "416Mi"]
    assert any("small buffers in place of 12Gi" in reason for reason in found.reasons)


def test_an_annotation_keeps_a_service_as_it_is() -> None:
    assert decide(inputs(LARGE, policy=AUTO, overrides=Overrides(tune="Disabled"))).environment == {}


def test_a_model_of_unknown_size_is_tuned_too() -> None:
    assert decide(inputs(NO_ANSWER, policy=AUTO)).environment == TUNED


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": NamespaceLimits(max={"memory": 2 * GI})},
        {"pod_level": amounts(memory_request="1Gi", memory_limit="2Gi")},
        {"policy": policy(tiers=[{"limits": {"memory": "2Gi"}}])},
        {"policy": policy(bounds={"max": {"memory": "2Gi"}})},
        {"overrides": asked(memory_limit="2Gi")},
    ],
    ids=["LimitRange", "pod-level", "tier", "bounds", "annotation"],
)
def test_a_limit_below_what_the_pull_needs_stands_and_says_what_would_help(changes: dict[str, object]) -> None:
    found = decide(inputs(LARGE, **changes))
    assert given(found, "limit", "memory") == "2Gi"
    assert found.reasons[-1].startswith("the memory limit is below the 9728Mi that the pull is likely to need")
    assert found.reasons[-1].endswith("downloader.tune: Auto makes it need less")


def test_only_the_hubs_downloader_can_be_made_to_need_less() -> None:
    found = decide(inputs(LARGE, container=container("s3://a/b"), policy=policy(bounds={"max": {"memory": "64Mi"}})))
    assert found.reasons[-1].endswith("it may be killed")


@pytest.mark.parametrize(
    "environment",
    [
        {**KSERVE_ENVIRONMENT, "HF_HUB_ENABLE_HF_TRANSFER": "0"},
        {**KSERVE_ENVIRONMENT, "HF_XET_HIGH_PERFORMANCE": ""},
        {**KSERVE_ENVIRONMENT, "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_SIZE": "4gb"},
    ],
    ids=["another value", "from elsewhere", "buffers of somebody's own"],
)
def test_a_value_of_somebodys_own_is_never_changed(environment: dict[str, str]) -> None:
    found = decide(inputs(LARGE, container=container("hf://a/b", environment=environment), policy=AUTO))
    assert found.environment == {}


def test_only_the_hubs_downloader_is_told_anything() -> None:
    assert decide(inputs(LARGE, container=HTTP, policy=AUTO)).environment == {}
