"""Credentials of services are used where an administrator says so twice: in the policy, and by the right to read."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.services import classic, isvc, note, pods
from tests.controlplane.cluster import Document
from tests.installation import ROOT, Installation
from tests.stores.s3 import Bucket, S3Server
from tests.stubs.hub import TOKEN

pytestmark = pytest.mark.needs_own_plane

COMPONENT = ROOT / "deploy" / "components" / "credentials"
SIZE = 3_000_000_000


@pytest.fixture
def tenant(installed: Installation, namespace: str) -> Iterator[str]:
    """A namespace whose credentials the policy allows, and nobody granted yet."""
    before = installed.policy
    _allow(installed, namespace)
    yield namespace
    installed.set_policy(before)


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    found = s3_server.bucket()
    found.put({"bert/model.safetensors": SIZE, "bert/config.json": b"{}"})
    return found


def _allow(installed: Installation, *namespaces: str) -> None:
    policy = yaml.safe_load(installed.policy)
    policy["sources"]["credentials"] = {"namespaces": list(namespaces)}
    installed.set_policy(yaml.safe_dump(policy))


def _grant(installed: Installation, namespace: str) -> None:
    """As the component's README says; and the policy is touched, so that nobody waits for the next try."""
    installed.plane.kubectl("apply", "-f", str(COMPONENT / "role.yaml"))
    installed.plane.kubectl("apply", f"--namespace={namespace}", "-f", str(COMPONENT / "namespace" / "binding.yaml"))
    _allow(installed, namespace, "touched")


def _attach(installed: Installation, namespace: str, name: str, data: dict[str, str], **annotations: str) -> None:
    metadata = {"name": name, "annotations": {f"serving.kserve.io/{key}": text for key, text in annotations.items()}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default"},
        "secrets": [{"name": name}],
    }
    installed.plane.apply([secret, account], f"--namespace={namespace}")


def _s3(server: S3Server) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}


def _measured(installed: Installation, namespace: str, *, reason: str) -> Document:
    """The status of the namespace's one ModelPull, once that is why it is measured or not."""

    def found() -> Document | None:
        for item in installed.plane.get("modelpulls", namespace=namespace)["items"]:
            for condition in item.get("status", {}).get("conditions", ()):
                if condition["type"] == "Measured" and condition["reason"] == reason:
                    status: Document = item["status"]
                    return status
        return None

    status = installed.plane.until(found, 60, f"a ModelPull of {namespace} is {reason}")
    assert status is not None
    return status


def _nowhere(installed: Installation, namespace: str, *secrets: str) -> None:
    """Asserts that nobody can read any of them who may not read the Secret."""
    kinds = ("modelpulls", "events", "pods", "inferenceservices", "deployments")
    texts = {kind: json.dumps(installed.plane.get(kind, namespace=namespace)) for kind in kinds}
    for role in ("controller", "webhook"):
        texts[f"{role}'s log"] = (installed.plane.folder / "logs" / f"pullsizer-{role}.log").read_text()
    with urllib.request.urlopen(f"http://127.0.0.1:{installed.controller_metrics_port}/metrics", timeout=5) as answer:
        texts["metrics"] = answer.read().decode()
    assert [kind for kind, text in texts.items() for secret in secrets if secret in text] == []


def test_without_the_right_to_read_the_failure_says_what_to_grant_and_with_it_a_private_bucket_is_measured(
    installed: Installation, tenant: str, s3_server: S3Server, bucket: Bucket
) -> None:
    _attach(installed, tenant, "s3", _s3(s3_server), **{"s3-endpoint": s3_server.endpoint})
    installed.plane.apply(classic("bert", f"s3://{bucket.name}/bert"), f"--namespace={tenant}")

    refused = _measured(installed, tenant, reason="SecretForbidden")
    assert "deploy/components/credentials" in json.dumps(refused["conditions"])

    _grant(installed, tenant)
    model = _measured(installed, tenant, reason="Measured")["models"][0]
    assert (model["bytes"], model["files"]) == (SIZE + 2, 2)
    assert model["scope"].startswith(f"{tenant}/")
    _nowhere(installed, tenant, s3_server.secret_key, s3_server.access_key)


def test_a_gated_model_is_measured_with_the_token_of_its_service_account_and_its_first_pod_is_sized(
    installed: Installation, tenant: str
) -> None:
    _grant(installed, tenant)
    _attach(installed, tenant, "hub", {"HF_TOKEN": TOKEN})
    service = classic("gated", "hf://stub/private")
    installed.plane.apply(service, f"--namespace={tenant}")
    pod = installed.plane.until(lambda: next(iter(pods(installed.plane, tenant, service)), None), 60, "a pod")
    assert pod is not None
    assert note(pod)["basis"] == "model"
    _nowhere(installed, tenant, TOKEN)


def test_a_storage_is_measured_by_what_its_secret_says(
    installed: Installation, tenant: str, s3_server: S3Server, bucket: Bucket
) -> None:
    _grant(installed, tenant)
    entry = {
        "type": "s3",
        "bucket": bucket.name,
        "endpoint_url": s3_server.endpoint,
        "access_key_id": s3_server.access_key,
        "secret_access_key": s3_server.secret_key,
        "region": s3_server.region,
    }
    _attach(installed, tenant, "storage-config", {"gateway": json.dumps(entry)})
    model = {"modelFormat": {"name": "huggingface"}, "storage": {"key": "gateway", "path": "bert"}}
    service = isvc("stored", {"predictor": {"model": model}})
    installed.plane.apply(service, f"--namespace={tenant}")
    assert _measured(installed, tenant, reason="Measured")["models"][0]["uri"] == f"s3://{bucket.name}/bert"
    pod = installed.plane.until(lambda: next(iter(pods(installed.plane, tenant, service)), None), 60, "a pod")
    assert pod is not None
    assert note(pod)["basis"] == "model"
    _nowhere(installed, tenant, s3_server.secret_key)


def test_where_the_policy_does_not_list_a_namespace_the_right_to_read_is_not_used(
    installed: Installation, tenant: str, s3_server: S3Server, bucket: Bucket
) -> None:
    _grant(installed, tenant)
    _allow(installed, "another")
    _attach(installed, tenant, "s3", _s3(s3_server), **{"s3-endpoint": s3_server.endpoint})
    installed.plane.apply(classic("bert", f"s3://{bucket.name}/bert"), f"--namespace={tenant}")
    status = _measured(installed, tenant, reason="Unauthorized")
    assert "sources.credentials.namespaces" in json.dumps(status["conditions"])
