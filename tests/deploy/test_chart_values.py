"""The chart's values: what they may be, and where they arrive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import kubernetes.client.models
import pytest
import yaml

from pullsizer import names
from pullsizer.policy import load_policy
from tests.controlplane import ControlPlaneError

from .chart import CHART, SCHEMA, VALUES, helm_template
from .manifests import CONTROLLER, WEBHOOK, Manifests
from .render import ROOT, Document, documents

EXAMPLES = ROOT / "deploy" / "examples"


def policy_of(manifests: Manifests) -> str:
    return str(manifests.get("ConfigMap", names.POLICY_CONFIGMAP)["data"][names.POLICY_KEY])


# -- the policy -------------------------------------------------------------------------------------------------------


def shown() -> str:
    """values.yaml with every setting in it taken in."""
    return re.sub(r"^( *)#(?=\S|  )(?!=)", r"\1", VALUES.read_text(), flags=re.MULTILINE)


def properties(schema: Document, path: str = "") -> Iterator[str]:
    """Every key that the values may have, dotted, down to where they are a user's own."""
    for key, value in schema.get("properties", {}).items():
        inner = value.get("items", value)
        if "properties" in inner:
            yield from properties(inner, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def has(values: Any, path: str) -> bool:
    head, _, rest = path.partition(".")
    if isinstance(values, list):
        return any(has(item, path) for item in values)
    return head in values and (not rest or has(values[head], rest))


def test_every_key_of_the_policy_is_a_value_that_values_yaml_shows() -> None:
    schema = json.loads(SCHEMA.read_text())
    values = yaml.safe_load(shown())
    # Of amounts it is enough to show some: cpu and memory are everywhere the same.
    amounts = re.compile(r"\.(cpu|memory|ephemeral-storage)$")
    for path in properties(schema["$defs"]["policy"]):
        assert has(values, amounts.sub("", path)), path


def test_every_value_of_the_installation_is_in_values_yaml() -> None:
    schema = json.loads(SCHEMA.read_text())
    own = {key: value for key, value in schema["properties"].items() if "$ref" not in value and key != "global"}
    values = yaml.safe_load(shown())
    for path in properties({"properties": own}):
        assert has(values, path), path


def test_all_settings_that_values_yaml_shows_are_accepted_by_helm_and_by_the_operator() -> None:
    manifests = helm_template(values=shown())
    policy = load_policy(policy_of(manifests))
    assert policy.tiers
    assert policy.sources.hugging_face.token
    (container,) = manifests.get("Deployment", CONTROLLER)["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["controller", "--log-level=INFO", "--measure-concurrency=64"]


@pytest.mark.parametrize(
    "policy",
    [
        *re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "policy.md").read_text(), flags=re.DOTALL),
        documents((EXAMPLES / "policy-tiers.yaml").read_text())[0]["data"]["config.yaml"],
        (EXAMPLES / "overlay" / "config.yaml").read_text(),
    ],
)
def test_a_policy_means_the_same_as_values(policy: str) -> None:
    defaults = {key: yaml.safe_load(VALUES.read_text())[key] for key in ("mode", "modelPullResources")}
    wanted = yaml.safe_load(policy)
    assert load_policy(policy_of(helm_template(values=policy))) == load_policy(yaml.safe_dump(defaults | wanted))


@pytest.mark.parametrize(
    "values",
    [
        text
        for page in (CHART / "README.md", ROOT / "docs" / "install.md")
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL)
    ],
)
def test_values_in_pages_are_accepted(values: str) -> None:
    load_policy(policy_of(helm_template(values=values)))


def test_the_error_that_the_installation_page_shows_is_helm_s() -> None:
    with pytest.raises(ControlPlaneError) as error:
        helm_template("--set=modelPullResources.limits.memory=lots")
    assert str(error.value).removeprefix("helm template: ") in (ROOT / "docs" / "install.md").read_text()


def test_what_is_not_set_is_left_to_the_operator() -> None:
    assert list(yaml.safe_load(policy_of(helm_template()))) == ["mode", "modelPullResources"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("modelPullResources.limits.memory=lots", "at '/modelPullResources/limits/memory': 'lots' does not match"),
        ("modelPullResources.limits.memory=4", "at '/modelPullResources/limits/memory': got number, want string"),
        ("modelPullResources.limits.ephemeral-storage=9Gi", "'ephemeral-storage' not allowed"),
        ("modelPullResource.limits.memory=4Gi", "additional properties 'modelPullResource' not allowed"),
        ("mode=Off", "at '/mode': value must be one of 'Auto', 'Recommend', 'Disabled'"),
        ("waitForSize=2", "at '/waitForSize': got number, want string"),
        ("sources.allowCIDRs={intranet}", "at '/sources/allowCIDRs/0': 'intranet' does not match"),
        ("image.digest=latest", "at '/image/digest': 'latest' does not match"),
        ("webhook.replica=3", "at '/webhook': additional properties 'replica' not allowed"),
        ("controller.measureConcurrency=1000", "at '/controller/measureConcurrency': maximum"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(setting: str, said: str) -> None:
    with pytest.raises(ControlPlaneError, match=re.escape(said)):
        helm_template(f"--set={setting}")


# -- the rest of the values -------------------------------------------------------------------------------------------

ROLE: Document = {
    "resources": {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    "env": [{"name": "SSL_CERT_FILE", "value": "/ca/ca.crt"}],
    "volumes": [{"name": "ca", "configMap": {"name": "company-ca"}}],
    "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    "podAnnotations": {"example.com/scrape": "true"},
    "podLabels": {"team": "platform"},
    "serviceAccountAnnotations": {"example.com/identity": "pullsizer"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "system", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "ScheduleAnyway"}],
}
EVERYTHING: Document = {
    "image": {"repository": "registry.example.com/pullsizer", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "logLevel": "DEBUG",
    "webhook": {
        **ROLE,
        "replicas": 3,
        "podDisruptionBudget": {"minAvailable": "50%"},
        "serviceAnnotations": {"example.com/owner": "platform"},
        "serviceLabels": {"team": "platform"},
    },
    "controller": {**ROLE, "replicas": 2, "measureConcurrency": 128},
    "global": {"region": "eu"},
}


@pytest.fixture(scope="module")
def everything() -> Manifests:
    """Rendered with every value of the installation set."""
    return helm_template(values=yaml.safe_dump(EVERYTHING))


def test_no_value_of_the_installation_gets_into_the_policy(everything: Manifests) -> None:
    assert policy_of(everything) == policy_of(helm_template())


def test_with_every_value_set_all_objects_are_ones_that_kubernetes_knows_field_by_field(everything: Manifests) -> None:
    for item in everything.items:
        getattr(kubernetes.client.models, f"V1{item['kind']}").model_validate(item, strict=True, extra="forbid")


@pytest.mark.parametrize("name", [WEBHOOK, CONTROLLER])
def test_values_of_a_role_arrive_in_its_pods(everything: Manifests, name: str) -> None:
    deployment = everything.get("Deployment", name)["spec"]
    metadata, pod = deployment["template"]["metadata"], deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert metadata["annotations"] == ROLE["podAnnotations"]
    assert metadata["labels"] == deployment["selector"]["matchLabels"] | ROLE["podLabels"]
    assert container["image"] == f"registry.example.com/pullsizer@sha256:{'0' * 64}"
    assert container["imagePullPolicy"] == "Always"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert container["resources"] == ROLE["resources"]
    assert [item["name"] for item in container["env"]] == ["POD_NAMESPACE", "SSL_CERT_FILE"]
    assert [item["name"] for item in container["volumeMounts"]] == ["tmp", "ca"]
    assert [item["name"] for item in pod["volumes"]] == ["tmp", "ca"]
    for key in ("priorityClassName", "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints"):
        assert pod[key] == ROLE[key]
    account = everything.get("ServiceAccount", name)
    assert account["metadata"]["annotations"] == ROLE["serviceAccountAnnotations"]


def test_values_of_one_role_arrive_where_only_it_has_them(everything: Manifests) -> None:
    webhook, controller = (everything.get("Deployment", name)["spec"] for name in (WEBHOOK, CONTROLLER))
    assert (webhook["replicas"], controller["replicas"]) == (3, 2)
    assert everything.get("PodDisruptionBudget", WEBHOOK)["spec"]["minAvailable"] == "50%"
    service = everything.get("Service", names.SERVICE)["metadata"]
    assert service["annotations"] == {"example.com/owner": "platform"}
    assert service["labels"]["team"] == "platform"
    arguments = ["--log-level=DEBUG"]
    assert webhook["template"]["spec"]["containers"][0]["args"] == ["webhook", *arguments]
    assert controller["template"]["spec"]["containers"][0]["args"] == [
        "controller",
        *arguments,
        "--measure-concurrency=128",
    ]
