"""Which containers of a pod pull what, whose pod it is, and what a service's spec says that its pods will pull."""

from __future__ import annotations

from typing import Any

import pytest

from pullsizer.kserve import DEFAULT, KServe
from pullsizer.model import Source
from pullsizer.pulls import TOKENIZER_FILES, Owner, PullHint, owner_of, pull_containers, pull_hints

Json = dict[str, Any]


def puller(*args: str, name: str = "storage-initializer", **more: Any) -> Json:
    return {"name": name, "image": "kserve/storage-initializer:v0.20.0", "args": list(args), **more}


def pod(*inits: Json, **spec: Any) -> Json:
    return {"spec": {"initContainers": list(inits), **spec}}


def test_arguments_are_pairs_of_a_uri_and_a_folder() -> None:
    (pull,) = pull_containers(pod(puller("hf://a/b", "/mnt/models/a", "s3://c/d", "/mnt/models/b")), DEFAULT)
    assert pull.sources == (Source("hf://a/b"), Source("s3://c/d"))
    assert (pull.index, pull.name, pull.image) == (0, "storage-initializer", "kserve/storage-initializer:v0.20.0")


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("storage-initializer", True), ("storage-initializer-1", True), ("model-fetcher", True), ("modelcar-init", False)],
)
def test_a_pull_container_is_one_of_kserves_names(name: str, sizes: bool) -> None:
    kserve = KServe(frozenset({"storage-initializer", "model-fetcher"}))
    found = list(pull_containers(pod(puller("hf://a/b", "/mnt/models", name=name)), kserve))
    assert bool(found) is sizes


def test_the_place_of_a_pull_container_counts_those_before_it() -> None:
    inits = [{"name": "istio-init"}, puller("hf://a/b", "/mnt/models")]
    assert [pull.index for pull in pull_containers(pod(*inits), DEFAULT)] == [1]


@pytest.mark.parametrize(
    "container",
    [
        puller("hf://a/b", "/mnt/models", restartPolicy="Always"),
        puller("pvc://claim/path", "/mnt/models"),
        puller("oci+native://registry/model", "/mnt/models"),
        puller("/mnt/pvc", "/mnt/models"),
        puller(),
        {"name": "storage-initializer", "args": None},
    ],
    ids=["native sidecar", "pvc", "oci native", "path", "no arguments", "null arguments"],
)
def test_a_container_that_downloads_nothing_is_left_alone(container: Json) -> None:
    assert list(pull_containers(pod(container), DEFAULT)) == []


@pytest.mark.parametrize("item", [{}, {"spec": None}, {"spec": {}}, {"spec": {"initContainers": None}}])
def test_a_pod_without_init_containers_pulls_nothing(item: Json) -> None:
    assert list(pull_containers(item, DEFAULT)) == []


def test_what_is_only_mounted_is_no_source_of_the_container() -> None:
    (pull,) = pull_containers(pod(puller("pvc://a/b", "/mnt/x", "hf://a/b", "/mnt/y")), DEFAULT)
    assert pull.sources == (Source("hf://a/b"),)


def test_filters_of_the_environment_are_part_of_every_source() -> None:
    env = [
        {"name": "STORAGE_ALLOW_PATTERNS", "value": '["*.json"]'},
        {"name": "STORAGE_IGNORE_PATTERNS", "value": "*.bin,*.pth"},
    ]
    (pull,) = pull_containers(pod(puller("hf://a/b", "/mnt/models", env=env)), DEFAULT)
    assert pull.sources == (Source("hf://a/b", ("*.json",), ("*.bin", "*.pth")),)


def test_a_variable_that_comes_from_elsewhere_is_known_to_be_there() -> None:
    env = [
        {"name": "HF_XET_HIGH_PERFORMANCE", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y"}}},
        {"name": "PLAIN", "value": "1"},
        {"name": "EMPTY"},
    ]
    (pull,) = pull_containers(pod(puller("hf://a/b", "/mnt/models", env=env)), DEFAULT)
    assert pull.environment == {"HF_XET_HIGH_PERFORMANCE": "", "PLAIN": "1", "EMPTY": ""}


def test_the_medium_is_that_of_the_folder_downloaded_to() -> None:
    volumes = [{"name": "fast", "emptyDir": {"medium": "Memory"}}]
    container = puller("hf://a/b", "/mnt/lora/x", volumeMounts=[{"name": "fast", "mountPath": "/mnt"}])
    (pull,) = pull_containers(pod(container, volumes=volumes), DEFAULT)
    assert pull.medium == "memory"


@pytest.mark.parametrize(
    ("labels", "owner"),
    [
        (
            {"serving.kserve.io/inferenceservice": "iris", "component": "transformer"},
            Owner("InferenceService", "iris", "transformer"),
        ),
        ({"serving.kserve.io/inferenceservice": "iris"}, Owner("InferenceService", "iris", "predictor")),
        (
            {
                "app.kubernetes.io/part-of": "llminferenceservice",
                "app.kubernetes.io/name": "llama",
                "app.kubernetes.io/component": "llminferenceservice-workload-prefill",
            },
            Owner("LLMInferenceService", "llama", "workload-prefill"),
        ),
        (
            {"app.kubernetes.io/part-of": "llminferenceservice", "app.kubernetes.io/name": "llama"},
            Owner("LLMInferenceService", "llama", "workload"),
        ),
        ({"app.kubernetes.io/part-of": "something", "app.kubernetes.io/name": "llama"}, None),
        ({"app.kubernetes.io/part-of": "llminferenceservice"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_service_of_a_pod_is_in_its_labels(labels: dict[str, str] | None, owner: Owner | None) -> None:
    assert owner_of(labels) == owner


def isvc(**components: Any) -> Json:
    return {"kind": "InferenceService", "spec": components}


def llm(**spec: Any) -> Json:
    return {"kind": "LLMInferenceService", "spec": spec}


@pytest.mark.parametrize(
    ("service", "hints"),
    [
        (isvc(predictor={"model": {"storageUri": "hf://a/b"}}), {"predictor": ["hf://a/b"]}),
        (isvc(predictor={"sklearn": {"storageUri": "gs://a/b"}}), {"predictor": ["gs://a/b"]}),
        (
            isvc(predictor={"storageUris": [{"uri": "hf://a/b"}, {"uri": "s3://c"}]}),
            {"predictor": ["hf://a/b", "s3://c"]},
        ),
        (
            isvc(transformer={"containers": [{"env": [{"name": "STORAGE_URI", "value": "hf://t/t"}]}]}),
            {"transformer": ["hf://t/t"]},
        ),
        (
            isvc(
                predictor={"model": {"storageUri": "pvc://x"}},
                explainer={"containers": [], "art": {"storageUri": "s3://e"}},
            ),
            {"explainer": ["s3://e"]},
        ),
        (isvc(predictor={"model": {"storage": {"key": "k", "path": "p"}}}), {"predictor": []}),  # its Secret knows
        (isvc(predictor=None), {}),
        ({"kind": "InferenceService"}, {}),
        (llm(model={"uri": "hf://a/b"}), {"workload": ["hf://a/b"]}),
        (
            llm(model={"uri": "hf://a/b", "lora": {"adapters": [{"uri": "hf://x/y"}, {"uri": "pvc://z"}]}}, prefill={}),
            {"workload": ["hf://a/b", "hf://x/y"]},
        ),
        (
            llm(model={"uri": "hf://a/b"}, prefill={"replicas": 1}),
            {"workload": ["hf://a/b"], "workload-prefill": ["hf://a/b"]},
        ),
        (llm(model={"uri": "hf://a/b"}, storageInitializer={"enabled": False}), {}),
        (llm(model={"uri": "pvc://a/b"}), {}),
        (llm(), {}),
    ],
)
def test_a_services_spec_hints_at_what_its_components_will_pull(service: Json, hints: dict[str, list[str]]) -> None:
    found = {hint.component: [source.uri for source in hint.sources] for hint in pull_hints(service)}
    assert found == hints


def test_a_scheduler_pulls_the_tokenizers_files_only() -> None:
    found = pull_hints(llm(model={"uri": "hf://a/b"}, router={"scheduler": {}}))
    assert found[1] == PullHint("router-scheduler", (Source("hf://a/b", allow=TOKENIZER_FILES),))
