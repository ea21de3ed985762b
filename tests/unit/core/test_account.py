"""As whom a pull is known, by what a service or a pod says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pullsizer.account import NOBODY, Account, FromSecret, Storage, account_of_pod
from pullsizer.kserve_credentials import CredentialConfig, credential_config
from pullsizer.pulls import pull_hints

ANNOTATION = "serving.kserve.io/storageSecretName"


def accounts(service: dict[str, Any]) -> dict[str, Account]:
    return {hint.component: hint.account for hint in pull_hints(service, ANNOTATION)}


def isvc(predictor: dict[str, Any], **annotations: str) -> dict[str, Any]:
    spec = {"predictor": {"model": {"storageUri": "s3://b/m"}, **predictor}}
    return {"kind": "InferenceService", "metadata": {"annotations": annotations}, "spec": spec}


def test_a_service_that_says_nothing_is_its_namespaces_default_account() -> None:
    assert accounts(isvc({})) == {"predictor": NOBODY}
    assert NOBODY.service_account == "default"


def test_a_component_names_its_service_account_and_pull_secret() -> None:
    predictor = {"serviceAccountName": "trainer", "imagePullSecrets": [{"name": "registry"}, {"name": "other"}]}
    assert accounts(isvc(predictor)) == {"predictor": Account("trainer", pull_secret="registry")}


def test_an_annotation_names_a_secret_and_the_components_own_outweighs() -> None:
    annotation = {ANNOTATION: "of-service"}
    assert accounts(isvc({}, **annotation))["predictor"].secret == "of-service"
    assert accounts(isvc({"annotations": {ANNOTATION: "own"}}, **annotation))["predictor"].secret == "own"


def test_an_llm_service_has_an_account_for_each_of_its_pods() -> None:
    template = {"template": {"serviceAccountName": "a"}}
    spec = {"model": {"uri": "s3://b/m"}, **template, "prefill": {"template": {"serviceAccountName": "b"}}}
    service = {"kind": "LLMInferenceService", "metadata": {}, "spec": {**spec, "router": {"scheduler": {}}}}
    names = {component: account.service_account for component, account in accounts(service).items()}
    assert names == {"workload": "a", "workload-prefill": "b", "router-scheduler": "default"}


def test_a_storage_is_a_hint_without_a_uri() -> None:
    storage = {"key": "minio", "path": "bert", "parameters": {"type": "s3", "bucket": "b"}}
    (hint,) = pull_hints(isvc({"model": {"storage": storage}}))
    assert (hint.sources, hint.path) == ((), "bert")
    assert hint.account.storage == Storage("minio", (("bucket", "b"), ("type", "s3")))


def test_a_storage_beside_a_uri_is_none() -> None:
    (hint,) = pull_hints(isvc({"model": {"storageUri": "s3://b/m", "storage": {"path": "bert"}}}))
    assert hint.account.storage is None


def test_a_pods_container_says_the_same_by_its_pod() -> None:
    prefix = "internal.serving.kserve.io/storage-spec"
    annotations = {prefix: "true", f"{prefix}-key": "minio", f"{prefix}-param": '{"bucket":"b"}', ANNOTATION: "mine"}
    container = {
        "env": [
            {"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "id"}}},
            {"name": "AWS_SECRET_ACCESS_KEY", "value": "in plain sight"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "S3_VERIFY_SSL", "value": "0"},
        ]
    }
    pod = {
        "metadata": {"annotations": annotations},
        "spec": {"serviceAccountName": "trainer", "imagePullSecrets": [{"name": "registry"}]},
    }
    assert account_of_pod(pod, container, ANNOTATION) == Account(
        service_account="trainer",
        secret="mine",
        storage=Storage("minio", (("bucket", "b"),)),
        pull_secret="registry",
        variables=(FromSecret("AWS_ACCESS_KEY_ID", "s3", "id"),),
        settings=(("S3_VERIFY_SSL", "0"),),
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_parameters_that_are_none_are_none(text: str) -> None:
    prefix = "internal.serving.kserve.io/storage-spec"
    pod = {"metadata": {"annotations": {prefix: "true", f"{prefix}-param": text}}}
    assert account_of_pod(pod, {}, "").storage == Storage()


def test_what_kserve_is_told_about_credentials_is_read_as_it_does() -> None:
    block = {
        "storageSecretNameAnnotation": "a/b",
        "storageSpecSecretName": "s",
        "s3": {"s3Region": "eu", "s3CABundle": ""},
    }
    data = {"credentials": json.dumps(block), "storageInitializer": '{"caBundleConfigMapName": "ca"}'}
    assert credential_config({"data": data}) == CredentialConfig(
        secret_annotation="a/b",
        storage_secret="s",
        access_key_id="awsAccessKeyID",
        secret_access_key="awsSecretAccessKey",
        s3={"AWS_DEFAULT_REGION": "eu"},
        ca_configmap="ca",
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"s3": [], "gcs": 3, "storageSpecSecretName": 5}'])
def test_a_block_that_cannot_be_read_says_nothing(text: str) -> None:
    found = credential_config({"data": {"credentials": text}})
    assert (found.secret_annotation, found.storage_secret, found.s3) == ("", "storage-config", {})


def test_where_there_is_no_configmap_its_shipped_one_is_what_holds() -> None:
    assert credential_config(None).secret_annotation == ANNOTATION
