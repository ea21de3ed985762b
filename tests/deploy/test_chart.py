"""What deploy/chart renders to, beside what deploy/base does."""

from __future__ import annotations

import copy
import re
import subprocess

import pytest
import yaml

from pullsizer import __version__
from pullsizer.policy import load_policy
from tests.controlplane import binaries

from .chart import CHART, generated, helm_template, template
from .manifests import Manifests
from .render import BASE, ROOT, Document, documents, kustomize

BOOKKEEPING = {"helm.sh/chart", *(f"app.kubernetes.io/{name}" for name in ("instance", "managed-by", "version"))}
EXAMPLES = ROOT / "deploy" / "examples"
CREDENTIALS = ROOT / "deploy" / "components" / "credentials"
KEEP = "helm.sh/resource-policy"


def effect(manifests: Manifests) -> dict[tuple[str, str, str], Document]:
    """By kind, namespace and name what an object is once Helm's bookkeeping is off, the policy read."""
    objects = {}
    for item in copy.deepcopy(manifests.items):
        metadata = item["metadata"]
        metadata["labels"] = {key: text for key, text in metadata["labels"].items() if key not in BOOKKEEPING}
        if metadata.get("annotations") == {KEEP: "keep"}:
            del metadata["annotations"]
        if item["kind"] == "ConfigMap":
            item["data"] = {key: load_policy(text) for key, text in item["data"].items()}
        for condition in (
            found for webhook in item.get("webhooks", ()) for found in webhook.get("matchConditions", ())
        ):
            # kustomize breaks folded lines once more than YAML does.
            condition["expression"] = " ".join(condition["expression"].split())
        objects[item["kind"], metadata.get("namespace", ""), metadata["name"]] = item
    return objects


# -- the base ---------------------------------------------------------------------------------------------------------


def test_the_chart_installs_what_deploy_base_does() -> None:
    chart, base = effect(helm_template()), effect(Manifests(documents(kustomize(BASE))))
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
    manifests = helm_template("--set=kserveNamespace=serving", namespace="platform")
    assert "pullsizer-system" not in yaml.safe_dump(manifests.items)
    namespaces = {item["metadata"].get("namespace") for item in manifests.items}
    assert namespaces == {None, "platform", "serving"}
    for container in manifests.containers():
        assert "--kserve-namespace=serving" in container["args"]


def test_the_chart_is_of_the_version_of_the_product() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def test_helm_finds_nothing_to_complain_of() -> None:
    command = [str(binaries.path("helm")), "lint", "--strict", "--quiet", str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_definition_of_modelpulls_outlives_the_release() -> None:
    kept = [item for item in helm_template().items if KEEP in item["metadata"].get("annotations", {})]
    assert [item["kind"] for item in kept] == ["CustomResourceDefinition"]
    assert kept[0]["metadata"]["annotations"][KEEP] == "keep"


# -- rights that a policy asks for ------------------------------------------------------------------------------------


def added(values: str) -> dict[tuple[str, str, str], Document]:
    """The objects that there are because of the values."""
    without = effect(helm_template())
    return {key: item for key, item in effect(helm_template(values=values)).items() if key not in without}


def in_namespace(namespace: str, *items: Document) -> dict[tuple[str, str, str], Document]:
    """The objects as `kubectl apply -n NAMESPACE` would make them, labelled as all of ours are."""
    placed = copy.deepcopy(list(items))
    for item in placed:
        item["metadata"] |= {"labels": {"app.kubernetes.io/name": "pullsizer"}}
        if not item["kind"].startswith("Cluster"):
            item["metadata"]["namespace"] = namespace
    return effect(Manifests(placed))


def test_a_hub_token_comes_with_the_right_to_read_its_secret() -> None:
    example = (EXAMPLES / "hub-token-rbac.yaml").read_text()
    (policy,) = re.findall(r"^#\n((?:#   .*\n)+)", example, flags=re.MULTILINE)
    assert added(re.sub(r"^#   ", "", policy, flags=re.MULTILINE)) == in_namespace("models", *documents(example))


def test_namespaces_whose_credentials_may_be_used_come_with_the_right_to_get_them_there() -> None:
    (role,) = documents((CREDENTIALS / "role.yaml").read_text())
    (binding,) = documents((CREDENTIALS / "namespace" / "binding.yaml").read_text())
    wanted = in_namespace("models", role, binding) | in_namespace("research", binding)
    assert added("sources: {credentials: {namespaces: [models, research]}}") == wanted


def test_names_of_digits_are_texts() -> None:
    manifests = helm_template(
        "--set-string=sources.credentials.namespaces={123}",
        "--set-string=sources.huggingFace.token.secretName=456",
        "--set-string=sources.huggingFace.token.namespaces={123}",
        "--set-string=kserveNamespace=789",
        namespace="1234",
    )
    metadata = [item["metadata"] for item in manifests.items]
    assert {one["namespace"] for one in metadata if "namespace" in one} == {"123", "789", "1234"}
    subjects = [subject for item in manifests.items for subject in item.get("subjects", ())]
    assert {subject["namespace"] for subject in subjects} == {"1234"}
    (role,) = (
        item for item in manifests.items if item["metadata"]["name"] == "pullsizer-hub-token" and "rules" in item
    )
    assert role["rules"][0]["resourceNames"] == ["456"]
