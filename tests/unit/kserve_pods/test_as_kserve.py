"""Pods made of a service have the pulls that KServe's own pods have: those of the golden cases, which follow KServe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pullsizer.kserve import KServe, kserve_configuration
from pullsizer.kserve_pods import MadePod, configuration, inference_service_pods, llm_pods
from pullsizer.pod import resources_of
from pullsizer.pulls import owner_of, pull_containers
from tests.golden.cases import NAMESPACE, documents, read
from tests.unit.cli.services import inference_service, llm_service

QWEN = "hf://Qwen/Qwen2.5-7B-Instruct"
LLAMA = "hf://meta-llama/Llama-3.3-70B-Instruct"
SMALL = "hf://distilbert/distilbert-base-uncased-finetuned-sst-2-english"
IRIS = "https://models.example.com/iris/model.joblib"
LORA = {"adapters": [{"name": "sql", "uri": "hf://team/sql-lora"}]}
OWN = {"name": "storage-initializer", "args": ["mine"], "env": [{"name": "HF_HUB_DISABLE_XET", "value": "1"}]}
LARGER = {"resources": {"limits": {"cpu": "4", "memory": "24Gi"}, "requests": {"cpu": "2"}}}
BUCKET = {"key": "minio", "path": "llm/qwen", "parameters": {"bucket": "team-models", "type": "s3"}}
SEVERAL = [
    {"uri": QWEN, "mountPath": "/mnt/models/base"},
    {"uri": "s3://team-models/sql-lora", "mountPath": "/mnt/models/adapter"},
]
VARIABLE = {"name": "kserve-container", "env": [{"name": "STORAGE_URI", "value": IRIS}]}


CREDENTIALS = ("STORAGE_CONFIG", "STORAGE_OVERRIDE_CONFIG")


def component(name: str, part: dict[str, Any]) -> dict[str, Any]:
    service = inference_service()
    return {**service, "spec": {name: part}}


CASES: dict[str, dict[str, Any]] = {
    "classic-storage-uri": inference_service(QWEN),
    "classic-https": inference_service(IRIS),
    "transformer": component("transformer", {"containers": [
        {"name": "kserve-container", "env": [{"name": "STORAGE_URI", "value": SMALL}]}]}),
    "explainer": component("explainer", {"containers": [VARIABLE]}),
    "custom-container": component("predictor", {"containers": [VARIABLE]}),
    "storage-spec": component("predictor", {"model": {"storage": BUCKET}}),
    "storage-uris": component("predictor", {"model": {"runtime": "x"}, "storageUris": SEVERAL}),
    "renamed-by-storage-container": inference_service(QWEN),
    "pvc": inference_service("pvc://models/qwen"),
    "modelcar": inference_service("oci://registry.example.com/models/qwen:1"),
    "oci-native": inference_service("oci+native://registry.example.com/models/qwen:1"),
    "llm-single-node": llm_service(LLAMA),
    "llm-lora": llm_service(LLAMA, model={"uri": LLAMA, "lora": LORA}),
    "llm-pvc-base-lora": llm_service(model={"uri": "pvc://models/llama", "lora": LORA}),
    "llm-prefill": llm_service(LLAMA, prefill={}),
    "llm-leader": llm_service(LLAMA, worker={}),
    "llm-worker": llm_service(LLAMA, worker={}),
    "llm-scheduler-tokenizer": llm_service(LLAMA, router={"scheduler": {}}),
    "llm-user-initializer": llm_service(LLAMA, template={"initContainers": [{**OWN, **LARGER}]}),
}  # fmt: skip


def pulls(pod: dict[str, Any], kserve: KServe) -> list[Any]:
    """All that a decision reads of a pod's pull containers, but their places and what only credentials need."""
    return [
        (
            pull.name,
            pull.sources,
            {name: value for name, value in pull.environment.items() if name not in CREDENTIALS},
            pull.medium,
            pull.image,
            resources_of(pod["spec"]["initContainers"][pull.index]),
        )
        for pull in pull_containers(pod, kserve)
    ]


def made(service: dict[str, Any], case: str = "") -> list[MadePod]:
    around = documents(case, "cluster.yaml")
    containers = [item for item in around if item["kind"] == "ClusterStorageContainer"]
    make = llm_pods if service["kind"] == "LLMInferenceService" else inference_service_pods
    return list(make(service, NAMESPACE, configuration(None, containers)))


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_pod_made_here_pulls_what_kserves_own_does(case: str) -> None:
    theirs = read(case, "pod.yaml")
    owner = owner_of(theirs["metadata"]["labels"])
    (ours,) = [one.pod for one in made(CASES[case], case) if owner_of(one.pod["metadata"]["labels"]) == owner]
    containers = [item for item in documents(case, "cluster.yaml") if item["kind"] == "ClusterStorageContainer"]
    kserve = kserve_configuration(None, containers)
    assert pulls(ours, kserve) == pulls(theirs, kserve)


def test_annotations_and_labels_reach_the_pod_as_kserve_lets_them() -> None:
    service = inference_service()
    service["metadata"] |= {
        "labels": {"tier": "gold"},
        "annotations": {"pullsizer.dev/mode": "Auto", "autoscaling.knative.dev/min-scale": "1", "own": "x"},
    }
    service["spec"]["predictor"]["annotations"] = {"more": "y"}
    configmap = {"data": {"inferenceService": json.dumps({"serviceAnnotationDisallowedList": ["own"]})}}
    (one,) = inference_service_pods(service, NAMESPACE, configuration(configmap, []))
    metadata = one.pod["metadata"]
    assert metadata["labels"]["tier"] == "gold"
    assert metadata["annotations"].keys() == {
        "pullsizer.dev/mode", "more", "internal.serving.kserve.io/storage-initializer-sourceuri",
    }  # fmt: skip
    llm = llm_service(annotations={"pullsizer.dev/cpu-limit": "2"}, labels={"tier": "gold"})
    llm["metadata"]["annotations"] = {"pullsizer.dev/mode": "Auto", "prometheus.io/port": "1"}
    metadata = made(llm)[0].pod["metadata"]
    assert metadata["annotations"] == {"prometheus.io/port": "1", "pullsizer.dev/cpu-limit": "2"}
    assert metadata["labels"]["tier"] == "gold"


def test_the_configmap_says_what_the_container_gets() -> None:
    block = {"image": "own/initializer:1", "memoryLimit": "9Gi", "cpuRequest": "2"}
    configmap = {"data": {"storageInitializer": json.dumps(block), "inferenceService": "not JSON"}}
    (one,) = inference_service_pods(inference_service(), NAMESPACE, configuration(configmap, []))
    (container,) = one.pod["spec"]["initContainers"]
    assert container["image"] == "own/initializer:1"
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "9Gi"},
    }  # fmt: skip


def test_a_storage_container_is_merged_where_it_supports_the_uri() -> None:
    def storage_container(name: str, form: dict[str, str], **more: Any) -> dict[str, Any]:
        container = {"name": name, "env": [{"name": "HF_XET_HIGH_PERFORMANCE", "value": "0"}]}
        return {"metadata": {"name": name}, "spec": {"container": container, "supportedUriFormats": [form], **more}}

    found = [
        storage_container("bad", {"regex": "("}),
        storage_container("job", {"prefix": "hf://"}, workloadType="localModelDownloadJob"),
        {**storage_container("off", {"prefix": "hf://"}), "disabled": True},
        storage_container("own", {"regex": "hf://team/.*"}),
        storage_container("named", {"prefix": "hf://"}),
    ]
    config = configuration(None, found)

    def container(service: dict[str, Any]) -> Any:
        (one,) = inference_service_pods(service, NAMESPACE, config)
        return one.pod["spec"]["initContainers"][0]

    assert container(inference_service("hf://team/model"))["name"] == "own"
    assert container(inference_service("hf://team/model"))["env"][0]["value"] == "0"
    assert container(inference_service("hf://other/model"))["name"] == "named"
    assert container(inference_service(storageContainerName="named"))["name"] == "named"
    assert container(inference_service("gs://bucket/model"))["name"] == "storage-initializer"


def test_oci_is_pulled_in_the_pod_only_where_it_is_fetched() -> None:
    def inits(uri: str, **block: str) -> Any:
        config = configuration({"data": {"storageInitializer": json.dumps(block)}}, [])
        (one,) = inference_service_pods(inference_service(uri), NAMESPACE, config)
        return one.pod["spec"].get("initContainers")

    assert inits("oci://r/m:1") is None
    assert inits("oci://r/m:1", ociModelMode="fetch")[0]["args"][0] == "oci://r/m:1"
    assert inits("oci+fetch://r/m:1")[0]["args"][0] == "oci://r/m:1"


def test_what_is_there_already_or_cached_is_not_pulled_again() -> None:
    own = {"name": "storage-initializer", "args": ["x", "y"]}
    (one,) = made(inference_service(initContainers=[own]))
    assert one.pod["spec"]["initContainers"] == [own]
    cached = inference_service()
    cached["metadata"]["labels"] = {"internal.serving.kserve.io/localmodel": "m"}
    assert "initContainers" not in made(cached)[0].pod["spec"]
    assert all(
        "initContainers" not in one.pod["spec"] for one in made(llm_service(storageInitializer={"enabled": False}))
    )


def test_the_service_resources_stand_beside_those_of_the_runtime() -> None:
    (assumed,) = made(inference_service())
    assert assumed.notes
    service = inference_service()
    service["spec"]["predictor"]["model"]["resources"] = {"limits": {"nvidia.com/gpu": "1", "memory": "64Gi"}}
    service["spec"]["predictor"]["containers"] = [{"name": "proxy"}]
    (one,) = made(service)
    serving, proxy = one.pod["spec"]["containers"]
    assert not one.notes
    assert serving["resources"]["limits"] == {"cpu": "1", "memory": "64Gi", "nvidia.com/gpu": "1"}
    assert serving["resources"]["requests"] == {"cpu": "1", "memory": "2Gi"}
    assert proxy == {"name": "proxy"}


def test_what_only_a_secret_says_is_told_as_not_known() -> None:
    (one,) = made(component("predictor", {"model": {"storage": {"key": "minio", "path": "llm/qwen"}}}))
    assert one.pod["spec"]["initContainers"][0]["args"][0] == "storage://llm/qwen"
    assert any("is in a Secret" in note for note in one.notes)


def test_a_volume_of_the_services_own_under_kserves_name_stays() -> None:
    claim = {"name": "kserve-provision-location", "persistentVolumeClaim": {"claimName": "c"}}
    (one,) = made(inference_service(volumes=[claim]))
    assert one.pod["spec"]["volumes"] == [claim]
    first = made(llm_service(template={"containers": [{"name": "main"}], "volumes": [claim]}))[0]
    assert first.pod["spec"]["volumes"] == [claim]
