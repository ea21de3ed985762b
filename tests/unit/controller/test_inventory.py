from __future__ import annotations

import re
from typing import Any

from pullsizer.controller.inventory import MOST, Inventory, ServiceKey, read_service
from pullsizer.kserve import KServe
from tests.unit.controller.examples import ended, isvc, llm, pod

BERT = ServiceKey("models", "InferenceService", "bert")
LLAMA = ServiceKey("models", "LLMInferenceService", "llama")


def inventory(*services: dict[str, Any]) -> Inventory:
    found = Inventory()
    for item in services:
        service = read_service(item)
        assert service is not None
        found.put_service(service)
    return found


def uris(found: Inventory, key: ServiceKey = BERT) -> list[tuple[str, ...]]:
    return sorted(tuple(source.uri for source in pull.sources) for pull in found.wanted(key))


def test_a_spec_is_a_hint_that_makes_a_modelpull_before_any_pod() -> None:
    assert uris(inventory(isvc())) == [("hf://org/bert",)]


def test_a_pod_that_pulls_the_same_needs_no_other() -> None:
    found = inventory(isvc())
    found.put_pod(pod())
    assert uris(found) == [("hf://org/bert",)]


def test_what_a_pod_pulls_counts_although_the_spec_does_not_say_it() -> None:
    found = inventory(isvc())
    found.put_pod(pod(uri="s3://bucket/bert"))
    assert uris(found) == [("hf://org/bert",), ("s3://bucket/bert",)]
    found.remove_pod(pod())
    assert uris(found) == [("hf://org/bert",)]


def test_pods_of_a_service_that_is_not_known_yet_wait_for_it() -> None:
    found = Inventory()
    found.put_pod(pod(uri="s3://a/b"))
    assert found.wanted(BERT) == []
    service = read_service(isvc())
    assert service is not None
    found.put_service(service)
    assert ("s3://a/b",) in uris(found)


def test_nothing_that_is_mounted_or_pulled_by_the_kubelet_makes_a_modelpull() -> None:
    for uri in ("pvc://claim/model", "oci://registry/model:1", "oci+native://registry/model"):
        assert inventory(isvc(uri=uri)).wanted(BERT) == []


def test_an_image_that_a_container_fetches_does() -> None:
    found = inventory(isvc(uri="oci://registry/model:1"))
    found.put_pod(pod(uri="oci://registry/model:1"))
    assert uris(found) == [("oci://registry/model:1",)]


def test_an_llmisvcs_annotations_are_carried_and_an_isvcs_are_not() -> None:
    annotations = {"pullsizer.dev/mode": "Disabled", "team": "search"}
    found = inventory(isvc(**annotations), llm(**annotations))
    assert [dict(pull.overrides) for pull in found.wanted(BERT)] == [{}]
    assert [dict(pull.overrides) for pull in found.wanted(LLAMA)] == [{"pullsizer.dev/mode": "Disabled"}]


def test_a_service_cannot_have_modelpulls_without_end() -> None:
    found = inventory(isvc())
    for number in range(100):
        found.put_pod(pod(name=f"p{number}", uri=f"hf://org/model-{number}"))
    assert len(found.wanted(BERT)) == MOST


def test_only_the_removal_of_the_very_service_removes_it() -> None:
    found = inventory(isvc())
    assert not found.remove_service(BERT, "another uid")
    assert found.remove_service(BERT, "uid-bert")
    assert found.services == {}


def test_when_kserve_pulls_by_another_container_all_pods_are_read_anew() -> None:
    found = inventory(isvc(uri="pvc://x/y"))
    item = pod(uri="s3://bucket/own")
    item["spec"]["initContainers"][0]["name"] = "my-puller"
    assert found.put_pod(item) is None
    assert found.set_kserve(KServe(frozenset({"storage-initializer", "my-puller"}))) == [BERT]
    assert uris(found) == [("s3://bucket/own",)]
    assert found.set_kserve(KServe(frozenset({"storage-initializer", "my-puller"}))) == []


def test_a_pod_whose_pull_ended_is_another_one_than_before() -> None:
    found = inventory(isvc())
    before = found.put_pod(pod())
    assert found.put_pod(pod()) == before
    assert found.put_pod(pod(restartCount=0, state=ended("Completed", 0))) != before


def test_what_is_no_service_of_kserves_is_none() -> None:
    assert read_service({"kind": "Deployment", "metadata": {"name": "a", "namespace": "b", "uid": "c"}}) is None
    assert read_service({"kind": "InferenceService", "metadata": {"name": "a", "namespace": "b"}}) is None


def test_whatever_a_pod_says_its_modelpull_can_be_stored() -> None:
    found = inventory(isvc())
    item = pod(uri="hf://org/" + "x" * 10_000)
    item["metadata"]["labels"]["component"] = "My_Component." + "x" * 300
    item["spec"]["initContainers"][0]["env"] = [{"name": "STORAGE_ALLOW_PATTERNS", "value": ",".join("a" * 5000)}]
    found.put_pod(item)
    made = next(pull for pull in found.wanted(BERT) if pull.component != "predictor").to_object()
    name = made["metadata"]["name"]
    assert len(name) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name)
    assert max(map(len, made["spec"]["uris"])) <= 4096
    assert len(made["spec"]["filters"]["allow"]) <= 1024


def test_where_and_as_whom_is_what_the_newest_pod_shows() -> None:
    found = inventory(isvc(uri="s3://b/m"))
    for name, created, endpoint in (("new", "2026-11-22T12:00:00Z", "http://new"), ("old", "2026-11-22T10:00:00Z", "")):
        item = pod(name, uri="s3://b/m")
        item["metadata"]["creationTimestamp"] = created
        item["spec"]["serviceAccountName"] = name
        item["spec"]["initContainers"][0]["env"] = [{"name": "AWS_ENDPOINT_URL", "value": endpoint}]
        found.put_pod(item)
    (pull,) = found.wanted(BERT)
    assert pull.sources[0].endpoint == "http://new"
    assert pull.account.service_account == "new"


def test_the_pods_of_an_llm_service_ask_with_the_secret_that_its_service_names() -> None:
    service = llm(**{"serving.kserve.io/storageSecretName": "mine"})
    found = inventory(service)
    item = pod(uri="hf://org/llama")
    labels = {"app.kubernetes.io/part-of": "llminferenceservice", "app.kubernetes.io/name": "llama"}
    item["metadata"]["labels"] = {**labels, "app.kubernetes.io/component": "llminferenceservice-workload"}
    found.put_pod(item)
    (pull,) = found.wanted(LLAMA)
    assert pull.account.secret == "mine"


def test_a_storage_makes_a_modelpull_once_its_uri_is_known() -> None:
    item = isvc()
    item["spec"]["predictor"]["model"] = {"storage": {"key": "minio", "path": "bert"}}
    found = inventory(item)
    assert found.wanted(BERT) == []
    (hint,) = found.services[BERT].hints
    assert found.put_uri(BERT, hint, "s3://b/bert")
    assert not found.put_uri(BERT, hint, "s3://b/bert")
    (pull,) = found.wanted(BERT)
    assert (pull.sources[0].uri, pull.account.storage) == ("s3://b/bert", hint.account.storage)
