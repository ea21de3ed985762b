"""The ModelPull: its name, what is applied, and what a status remembers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.model import Archive, Failure, ModelFacts, Source
from pullsizer.modelpull import (
    Measurement,
    ModelPull,
    ServiceRef,
    measurements,
    model_status,
    overrides_of,
    service_of,
    source_key,
)
from pullsizer.names import ServiceKind

SOURCE = Source("hf://meta/llama", ("*.safetensors",), ("*.bin",))
SECRET = Source("https://me:hunter2@example.com/model.bin?sig=hunter2#hunter2")


def model_pull(*sources: Source, kind: ServiceKind = "InferenceService", **changes: Any) -> ModelPull:
    values = {"namespace": "team-a", "component": "predictor", **changes}
    return ModelPull(service=ServiceRef(kind, "llama", "uid-1"), sources=sources, **values)


def test_the_name_is_the_same_in_every_process_and_release() -> None:
    # Stored objects carry these: another hash would orphan every one of them.
    assert model_pull(SOURCE).name == "isvc-llama-predictor-8303dffd"
    assert source_key(SOURCE) == "2187a34e197a4ced"


def test_no_uri_can_pass_for_another_with_filters() -> None:
    assert source_key(Source("hf://o/m\0*.json")) != source_key(Source("hf://o/m", ("*.json",)))
    assert source_key(Source("hf://o/m", ("a", "b"))) != source_key(Source("hf://o/m", ("a",), ("b",)))


def test_the_name_does_not_depend_on_the_order_of_the_sources() -> None:
    other = Source("s3://bucket/adapter")
    assert model_pull(SOURCE, other).name == model_pull(other, SOURCE).name


@pytest.mark.parametrize(
    "other",
    [
        model_pull(Source("hf://meta/llama", ("*.safetensors",))),
        model_pull(Source("hf://meta/llama", ("*.bin",), ("*.safetensors",))),
        model_pull(Source("hf://meta/llama:main", ("*.safetensors",), ("*.bin",))),
        model_pull(SOURCE, Source("hf://meta/adapter")),
        model_pull(SOURCE, component="transformer"),
        model_pull(SOURCE, kind="LLMInferenceService"),
    ],
)
def test_another_source_filter_component_or_kind_is_another_name(other: ModelPull) -> None:
    assert other.name != model_pull(SOURCE).name


def test_the_name_is_one_that_kubernetes_takes() -> None:
    pull = ModelPull("ns", ServiceRef("LLMInferenceService", "a" * 63, "u"), "workload-leader-prefill", (SOURCE,))
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", pull.name)
    assert len(pull.name) <= 253


def test_it_is_collected_with_its_service_and_does_not_hold_it_back() -> None:
    (owner,) = model_pull(SOURCE).to_object()["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "name": "llama",
        "uid": "uid-1",
        "controller": False,
        "blockOwnerDeletion": False,
    }


def test_what_is_applied_says_what_is_pulled_and_for_whom() -> None:
    item = model_pull(SOURCE, overrides={"pullsizer.dev/mode": "Auto"}).to_object()
    assert item["spec"] == {
        "serviceRef": {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": "llama"},
        "component": "predictor",
        "uris": ["hf://meta/llama"],
        "filters": {"allow": ["*.safetensors"], "ignore": ["*.bin"]},
        "overrides": {"pullsizer.dev/mode": "Auto"},
    }
    assert service_of(item) == ("InferenceService", "llama")
    assert overrides_of(item) == {"pullsizer.dev/mode": "Auto"}


def test_no_secret_of_a_uri_is_in_what_is_applied_or_in_the_status() -> None:
    item = model_pull(SECRET).to_object()
    item["status"] = {"models": [model_status(SECRET, Measurement(ModelFacts(1, 1, 1), 1.0))]}
    assert "hunter2" not in json.dumps(item)
    assert "hunter2" not in model_pull(SECRET).name


ARCHIVE: st.SearchStrategy[Archive] = st.sampled_from(["", "tar", "tar.gz", "zip"])
FACTS = st.builds(
    ModelFacts,
    bytes=st.integers(0, 1 << 50),
    files=st.integers(0, 10**6),
    largest=st.integers(0, 1 << 50),
    archive=ARCHIVE,
    revision=st.text(max_size=10),
    etag=st.text(max_size=10),
    largest_by_xet=st.none() | st.integers(0, 1 << 50),
    largest_by_lfs=st.none() | st.integers(0, 1 << 50),
)
FAILURE = st.builds(
    Failure, reason=st.text(max_size=10), message=st.text(max_size=20), retry_after=st.integers(0, 9999)
)
MEASUREMENT = st.builds(
    Measurement, knowledge=FACTS | FAILURE, measured_at=st.integers(0, 1 << 40), scope=st.text(min_size=1, max_size=10)
)


@given(MEASUREMENT)
def test_what_a_status_remembers_is_what_was_measured(measurement: Measurement) -> None:
    status = json.loads(json.dumps({"models": [model_status(SOURCE, measurement)]}))
    assert list(measurements({"status": status})) == [(source_key(SOURCE), measurement)]


GOOD = model_status(SOURCE, Measurement(ModelFacts(10, 1, 10), 5.0))


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "text",
        [],
        {},
        {**GOOD, "bytes": "many"},
        {**GOOD, "bytes": None},
        {**GOOD, "bytes": float("inf")},
        {**GOOD, "archive": "rar"},
        {**GOOD, "largestByXet": "much"},
        {**GOOD, "measuredAt": None},
        {key: value for key, value in GOOD.items() if key != "source"},
        {**GOOD, "failure": {"reason": "X"}},
        {**GOOD, "failure": "text"},
    ],
)
def test_an_item_that_cannot_be_read_is_passed_over_and_the_next_is_read(broken: object) -> None:
    found = list(measurements({"status": {"models": [broken, GOOD]}}))
    assert found == [(source_key(SOURCE), Measurement(ModelFacts(10, 1, 10), 5.0))]


@pytest.mark.parametrize("item", [{}, {"status": None}, {"status": {}}, {"status": {"models": None}}])
def test_a_model_pull_without_a_status_knows_nothing(item: dict[str, Any]) -> None:
    assert list(measurements(item)) == []
    assert service_of(item) is None
    assert overrides_of(item) == {}
