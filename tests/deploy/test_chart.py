"""What deploy/chart renders to, beside what deploy/base does, and what its values may be."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes.client.models
import pytest
import yaml

from pullsizer import __version__, names
from pullsizer.policy import load_policy
from tests.controlplane import ControlPlaneError, binaries

from .chart import CHART, SCHEMA, VALUES, generated, helm_template, template
from .manifests import CONTROLLER, WEBHOOK, Manifests
from .render import BASE, ROOT, Document, documents, kustomize

BOOKKEEPING = (
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
)
EXAMPLES = ROOT / "deploy" / "examples"
KEEP = "helm.sh/resource-policy"


def written(folder: Path, values: Any) -> str:
    """The argument that gives Helm these values."""
    file = folder / "values.yaml"
    file.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return f"--values={file}"


def rendered(folder: Path, values: Any) -> Manifests:
    return Manifests(helm_template(written(folder, values)))


def policy_of(manifests: Manifests) -> str:
    return str(manifests.get("ConfigMap", names.POLICY_CONFIGMAP)["data"][names.POLICY_KEY])


# -- beside deploy/base -----------------------------------------------------------------------------------------------


def effect(items: list[Document]) -> dict[tuple[str, str, str], Document]:
    """By kind, namespace and name what an object is once Helm's bookkeeping is off, the policy read."""
    objects = {}
    for item in copy.deepcopy(items):
        metadata = item["metadata"]
        metadata["labels"] = {key: text for key, text in metadata["labels"].items() if key not in BOOKKEEPING}
        if item["kind"] == "CustomResourceDefinition" and metadata.pop("annotations", None):
            assert item["metadata"]["name"] == "modelpulls.pullsizer.dev"
        if item["kind"] == "ConfigMap":
            item["data"] = {key: load_policy(text) for key, text in item["data"].items()}
        for condition in (
            found for webhook in item.get("webhooks", ()) for found in webhook.get("matchConditions", ())
        ):
            # kustomize breaks folded lines once more than YAML does.
            condition["expression"] = " ".join(condition["expression"].split())
        objects[item["kind"], metadata.get("namespace", ""), metadata["name"]] = item
    return objects


def test_the_chart_installs_what_deploy_base_does() -> None:
    chart, base = effect(helm_template()), effect(documents(kustomize(BASE)))
    # Who installs with Helm names the namespace, and has it made by --create-namespace.
    del base["Namespace", "", "pullsizer-system"]
    assert chart.keys() == base.keys()
    for key, item in base.items():
        assert chart[key] == item


def test_what_comes_from_elsewhere_is_up_to_date() -> None:
    for path, text in generated().items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)}: run `make chart`"


def test_a_manifest_in_which_helm_would_see_a_template_is_no_template() -> None:
    with pytest.raises(ValueError, match="find another way"):
        template("crd.yaml", "description: '{{ .Secret }}'")


def test_nothing_is_in_the_base_s_namespace_when_the_release_is_elsewhere() -> None:
    items = helm_template("--set=kserveNamespace=serving", namespace="platform")
    assert "pullsizer-system" not in yaml.safe_dump(items)
    namespaces = {item["metadata"].get("namespace") for item in items}
    assert namespaces == {None, "platform", "serving"}
    for container in Manifests(items).containers():
        assert "--kserve-namespace=serving" in container["args"]


def test_the_chart_is_of_the_version_of_the_product() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def test_helm_finds_nothing_to_complain_of() -> None:
    command = [str(binaries.path("helm")), "lint", "--strict", "--quiet", str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_definition_of_modelpulls_outlives_the_release() -> None:
    kept = [item for item in helm_template() if KEEP in item["metadata"].get("annotations", {})]
    assert [item["kind"] for item in kept] == ["CustomResourceDefinition"]
    assert kept[0]["metadata"]["annotations"][KEEP] == "keep"


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


def test_all_settings_that_values_yaml_shows_are_accepted_by_helm_and_by_the_operator(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, shown())
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
def test_a_policy_means_the_same_as_values(tmp_path: Path, policy: str) -> None:
    defaults = {key: yaml.safe_load(VALUES.read_text())[key] for key in ("mode", "modelPullResources")}
    wanted = yaml.safe_load(policy)
    assert load_policy(policy_of(rendered(tmp_path, policy))) == load_policy(yaml.safe_dump(defaults | wanted))


@pytest.mark.parametrize(
    "values",
    [
        text
        for page in (CHART / "README.md", ROOT / "docs" / "install.md")
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL)
    ],
)
def test_values_in_pages_are_accepted(tmp_path: Path, values: str) -> None:
    load_policy(policy_of(rendered(tmp_path, values)))


def test_the_error_that_the_installation_page_shows_is_helm_s() -> None:
    with pytest.raises(ControlPlaneError) as error:
        helm_template("--set=modelPullResources.limits.memory=lots")
    assert str(error.value).removeprefix("helm template: ") in (ROOT / "docs" / "install.md").read_text()


def test_what_is_not_set_is_left_to_the_operator() -> None:
    assert list(yaml.safe_load(policy_of(Manifests(helm_template())))) == ["mode", "modelPullResources"]


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
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    """Rendered with every value of the installation set."""
    return rendered(tmp_path_factory.mktemp("values"), EVERYTHING)


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


def test_a_hub_token_in_the_policy_brings_the_right_to_read_its_secret_and_no_other(tmp_path: Path) -> None:
    example = EXAMPLES / "hub-token-rbac.yaml"
    (policy,) = re.findall(r"^#\n((?:#   .*\n)+)", example.read_text(), flags=re.MULTILINE)
    with_token = rendered(tmp_path, re.sub(r"^#   ", "", policy, flags=re.MULTILINE))
    added = effect(with_token.items).keys() - effect(helm_template()).keys()
    assert added == {(item["kind"], "models", "pullsizer-hub-token") for item in documents(example.read_text())}
    for item in documents(example.read_text()):
        mine = with_token.get(item["kind"], "pullsizer-hub-token", "models")
        assert {key: mine[key] for key in item if key != "metadata"} == {
            key: item[key] for key in item if key != "metadata"
        }
