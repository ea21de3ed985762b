"""What comes over the wire, right and wrong, and what goes back."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pullsizer.admission import deciding, server
from pullsizer.admission.review import MAXIMUM_BODY
from tests.unit.admission_server.served import Served, basis_of, count, model_pod, patch_of, review


async def test_a_model_pod_is_allowed_with_a_patch_that_sizes_it(served: Served) -> None:
    before = count("pods_total", outcome="sized")

    answer = await served.mutate(model_pod())

    assert answer["response"]["patchType"] == "JSONPatch"
    assert basis_of(answer) == "model"
    assert count("pods_total", outcome="sized") == before + 1


async def test_replicas_get_the_same_answer_with_the_name_of_their_own_token_volume(served: Served) -> None:
    def replica(volume: str) -> dict[str, Any]:
        pod = model_pod()
        pod["spec"]["volumes"].append({"name": volume, "projected": {"sources": []}})
        return pod

    names = ["kube-api-access-abcde", "kube-api-access-fghij"]
    before = count("pods_total", outcome="sized"), count("sized_total", basis="model")

    patches = [patch_of(await served.mutate(replica(name))) for name in names]

    mounts = [[item["value"] for item in patch if item["path"].endswith("/volumeMounts/-")] for patch in patches]
    assert [[mount["name"] for mount in found] for found in mounts] == [[name] for name in names]
    assert [item for item in patches[0] if "volumeMounts" not in item["path"]] == [
        item for item in patches[1] if "volumeMounts" not in item["path"]
    ]
    assert (count("pods_total", outcome="sized"), count("sized_total", basis="model")) == (before[0] + 2, before[1] + 2)


async def test_a_pod_without_a_pull_is_allowed_as_it_is(served: Served) -> None:
    pod = model_pod()
    del pod["spec"]["initContainers"]

    assert patch_of(await served.mutate(pod)) == []


@pytest.mark.parametrize(
    "request_", [{"kind": {"kind": "Deployment"}}, {"kind": None}, {"operation": "UPDATE"}], ids=str
)
async def test_what_is_no_new_pod_is_allowed_as_it_is(served: Served, request_: dict[str, Any]) -> None:
    assert patch_of(await served.mutate(model_pod(), **request_)) == []


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_the_answer_is_of_the_version_and_uid_of_the_question(served: Served, version: str) -> None:
    asked = review(model_pod(), version=version)

    async with served.client.post(f"{served.url}/mutate-pods", json=asked) as reply:
        answer = await reply.json()

    assert answer["apiVersion"] == asked["apiVersion"]
    assert answer["response"]["uid"] == asked["request"]["uid"]


@pytest.mark.parametrize("path", ["/mutate-pods", "/validate"])
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[]", "the body is not an AdmissionReview"),
        (b'{"kind": "Pod", "apiVersion": "v1"}', "the body is not an AdmissionReview"),
        (b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v2"}', "is not served"),
        (b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}', "no request with a uid"),
    ],
    ids=["empty", "not JSON", "not text", "a list", "a pod", "of the future", "without a request"],
)
async def test_what_is_no_review_is_refused_with_a_sentence_and_counted(
    served: Served, path: str, body: bytes, sentence: str
) -> None:
    before = count("bad_requests_total", reason="invalid")

    async with served.client.post(f"{served.url}{path}", data=body) as reply:
        assert reply.status == 400
        assert sentence in await reply.text()

    assert count("bad_requests_total", reason="invalid") == before + 1


async def test_a_body_of_more_than_the_bound_is_refused_and_counted(served: Served) -> None:
    before = count("bad_requests_total", reason="too_large")

    async with served.client.post(f"{served.url}/mutate-pods", data=io.BytesIO(b" " * (MAXIMUM_BODY + 1))) as reply:
        assert reply.status == 413

    assert count("bad_requests_total", reason="too_large") == before + 1
    assert basis_of(await served.mutate(model_pod())) == "model", "the next one is answered"


async def test_a_pod_as_large_as_the_bound_allows_is_sized(served: Served) -> None:
    body = json.dumps(review(model_pod(annotations={"large": "x" * (MAXIMUM_BODY - 4096)}))).encode()

    async with served.client.post(f"{served.url}/mutate-pods", data=io.BytesIO(body)) as reply:
        assert basis_of(await reply.json()) == "model"


@pytest.mark.parametrize(("method", "path"), [("GET", "/mutate-pods"), ("PUT", "/validate"), ("POST", "/livez")])
async def test_a_wrong_method_is_refused(served: Served, method: str, path: str) -> None:
    async with served.client.request(method, f"{served.url}{path}") as reply:
        assert reply.status == 405


async def test_an_unknown_path_is_not_there(served: Served) -> None:
    async with served.client.post(f"{served.url}/mutate", json=review(model_pod())) as reply:
        assert reply.status == 404


async def test_a_pod_is_created_as_it_was_when_the_decision_fails(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("a slip of ours")

    monkeypatch.setattr(deciding, "decide", fail)
    before = count("pods_total", outcome="failed_open")

    with caplog.at_level(logging.ERROR):
        answer = await served.mutate(model_pod())

    assert patch_of(answer) == []
    assert count("pods_total", outcome="failed_open") == before + 1
    (record,) = caplog.records
    assert record.getMessage() == "failed open"
    assert vars(record)["namespace"] == "models"
    assert vars(record)["pod"] == "classifier-predictor-"
    assert record.exc_info is not None


@pytest.mark.parametrize(
    "broken",
    [
        {"metadata": "text"},
        {"spec": "text"},
        {"spec": {"initContainers": "text"}},
        {"spec": {"initContainers": [None]}},
        {"metadata": {"labels": [1]}},
    ],
    ids=str,
)
async def test_a_pod_of_no_sense_is_not_ours_to_refuse(served: Served, broken: dict[str, Any]) -> None:
    assert patch_of(await served.mutate(model_pod() | broken)) == []


async def test_validation_that_fails_allows_and_is_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(server, "validate", fail)
    before = count("validations_total", kind="ConfigMap", answer="failed_open")

    async with served.client.post(
        f"{served.url}/validate", json=review({"metadata": {}}, kind={"kind": "ConfigMap"})
    ) as reply:
        assert (await reply.json())["response"]["allowed"] is True

    assert count("validations_total", kind="ConfigMap", answer="failed_open") == before + 1


async def test_a_wrong_policy_is_refused_with_a_sentence(served: Served) -> None:
    policy = {"metadata": {"name": "pullsizer-config"}, "data": {"config.yaml": "mode: Off"}}
    asked = review(policy, kind={"kind": "ConfigMap"}, namespace="pullsizer-system")

    async with served.client.post(f"{served.url}/validate", json=asked) as reply:
        response = (await reply.json())["response"]

    assert response["allowed"] is False
    assert response["uid"] == asked["request"]["uid"]
    assert "mode" in response["status"]["message"]


async def test_metrics_parse_and_tell_of_reviews(served: Served) -> None:
    await served.mutate(model_pod())

    async with served.client.get(f"{served.plain}/metrics") as reply:
        families = {family.name: family for family in text_string_to_metric_families(await reply.text())}

    assert families["pullsizer_admission_pods"].type == "counter"
    seconds = families["pullsizer_admission_duration_seconds"]
    assert {sample.labels.get("path") for sample in seconds.samples} == {"/mutate-pods", "/validate"}
