"""What people asked for, by annotation or on the container itself."""

from __future__ import annotations

from pullsizer.kserve import KServe
from pullsizer.pod import Resources
from pullsizer.quantity import GI
from pullsizer.sizing import decide
from tests.unit.sizing.examples import (
    DISK,
    HTTP,
    LARGE,
    SMALL,
    TIERS,
    amounts,
    asked,
    container,
    given,
    inputs,
)

# -- annotations ------------------------------------------------------------------------------------------------------


def test_an_annotation_is_taken_exactly() -> None:
    wanted = asked(cpu_request="333m", cpu_limit="1777m", memory_request="1001Mi", memory_limit="5000Mi")
    found = decide(inputs(SMALL, overrides=wanted))
    assert [given(found, side, name) for name in ("cpu", "memory") for side in ("request", "limit")] == [
        "333m",
        "1777m",
        "1001Mi",
        "5000Mi",
    ]
    assert found.basis == "annotation"
    assert found.reasons[0] == (
        "set by annotation: cpu request 333m, memory request 1001Mi, cpu limit 1777m, memory limit 5000Mi"
    )


def test_an_annotated_limit_below_the_computed_request_lowers_the_request() -> None:
    found = decide(inputs(SMALL, overrides=asked(cpu_limit="50m")))
    assert [given(found, side, "cpu") for side in ("request", "limit")] == ["50m", "50m"]


def test_an_annotated_request_above_the_computed_limit_raises_the_limit() -> None:
    found = decide(inputs(SMALL, overrides=asked(memory_request="6Gi")))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["6Gi", "6Gi"]


def test_an_annotation_wins_over_a_tier() -> None:
    found = decide(inputs(SMALL, policy=TIERS, overrides=asked(memory_limit="3Gi")))
    assert given(found, "limit", "memory") == "3Gi"


def test_an_annotation_wins_over_what_a_person_set_on_the_container() -> None:
    current = amounts(memory_request="2Gi", memory_limit="8Gi", cpu_limit="4", cpu_request="4")
    found = decide(inputs(SMALL, current=current, overrides=asked(memory_limit="1Gi")))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["1Gi", "1Gi"]
    assert given(found, "limit", "cpu") == "4"


def test_an_annotated_request_wins_over_a_lower_limit_that_a_person_set() -> None:
    current = amounts(memory_request="1Gi", memory_limit="2Gi", ephemeral_storage_limit="3Gi")
    wanted = asked(memory_request="4Gi", ephemeral_storage_request="9Gi")
    found = decide(inputs(SMALL, current=current, overrides=wanted))
    assert given(found, "request", "memory") == "4Gi"
    assert given(found, "limit", "memory") == "4Gi"
    assert [given(found, side, DISK) for side in ("request", "limit")] == ["9Gi", "9Gi"]


def test_a_model_size_stands_in_for_what_nobody_knows() -> None:
    found = decide(inputs(None, overrides=asked(model_size="15Gi")))
    assert found.basis == "model"
    assert given(found, "request", DISK) == "16Gi"
    assert found.reasons[0].startswith("16.1 GB, 8 files, largest 10.0 GB: ")


def test_a_model_size_wins_over_what_was_measured_and_keeps_how_it_is_split() -> None:
    found = decide(inputs(LARGE, overrides=asked(model_size="1Gi")))
    assert found.reasons[0].startswith("1.1 GB, 20 files, largest 1.1 GB")


def test_a_model_size_with_several_sources_is_counted_once_by_the_hungriest_of_them() -> None:
    both = container("https://example.com/a.bin", "hf://a/b")
    found = decide(inputs(None, None, container=both, overrides=asked(model_size="20Gi")))
    assert given(found, "limit", "memory") == given(
        decide(inputs(None, overrides=asked(model_size="20Gi"))), "limit", "memory"
    )


def test_a_model_size_of_an_s3_model_is_not_taken_for_http() -> None:
    for size in ("1G", "50G"):  # in how many files nobody said: as many as are fetched at once
        found = decide(inputs(None, container=container("s3://bucket/model"), overrides=asked(model_size=size)))
        assert given(found, "limit", "memory") == "704Mi"


# -- what is on the container already ---------------------------------------------------------------------------------


def test_kserves_defaults_may_go_down() -> None:
    found = decide(inputs(SMALL, container=HTTP))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["64Mi", "96Mi"]
    assert not any("somebody" in reason for reason in found.reasons)


def test_defaults_of_a_changed_kserve_configuration_may_go_down_too() -> None:
    kserve = KServe(defaults=frozenset({("memory", "limit", 24 * GI), ("memory", "request", 2 * GI)}))
    current = amounts(memory_request="2Gi", memory_limit="24Gi")
    found = decide(inputs(SMALL, container=HTTP, current=current, kserve=kserve))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["64Mi", "96Mi"]


def test_values_that_the_limit_ranger_set_may_go_down() -> None:
    current = amounts(memory_request="2Gi", memory_limit="24Gi")
    by_plugin = frozenset({("memory", "request"), ("memory", "limit")})
    found = decide(inputs(SMALL, container=HTTP, current=current, limit_ranger=by_plugin))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["64Mi", "96Mi"]


def test_what_a_person_set_is_a_floor() -> None:
    current = amounts(cpu_request="300m", cpu_limit="3", memory_request="2Gi", memory_limit="24Gi")
    found = decide(inputs(SMALL, current=current))
    assert [given(found, side, name) for name in ("cpu", "memory") for side in ("request", "limit")] == [
        "300m",
        "3",
        "2Gi",
        "24Gi",
    ]
    assert "memory limit kept at 24Gi, which somebody set" in found.reasons
    assert found.basis == "model"


def test_what_a_person_set_is_no_ceiling() -> None:
    found = decide(inputs(LARGE, current=amounts(memory_request="600Mi", memory_limit="700Mi")))
    assert given(found, "limit", "memory") == "12Gi"


def test_a_persons_request_above_the_computed_limit_raises_the_limit() -> None:
    found = decide(inputs(SMALL, container=HTTP, current=amounts(memory_request="3Gi", memory_limit="4Gi")))
    assert [given(found, side, "memory") for side in ("request", "limit")] == ["3Gi", "4Gi"]
    only = decide(inputs(SMALL, container=HTTP, current=Resources({"memory": 3 * GI}, {})))
    assert [given(only, side, "memory") for side in ("request", "limit")] == ["3Gi", "3Gi"]
