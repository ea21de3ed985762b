"""What install.yaml promises, read from the file alone."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import kubernetes.client.models
import pytest
import yaml

from pullsizer import __version__, names
from pullsizer.policy import WEBHOOK_TIMEOUT_SECONDS, load_policy
from pullsizer.settings import ControllerSettings, WebhookSettings

from .manifests import CONTROLLER, WEBHOOK, Manifests, selects
from .render import BASE, ROOT

NAMESPACE = WebhookSettings().namespace
KSERVE_NAMESPACE = WebhookSettings().kserve_namespace
MANIFESTS = Manifests.load()
WEBHOOK_CONTAINER = MANIFESTS.get("Deployment", WEBHOOK)["spec"]["template"]["spec"]["containers"][0]

CLASSIC_POD = {"serving.kserve.io/inferenceservice": "bert", "component": "predictor", "app": "isvc.bert-predictor"}
LLM_POD = {"app.kubernetes.io/part-of": "llminferenceservice", "app.kubernetes.io/name": "llama"}


@pytest.mark.parametrize("item", MANIFESTS.items, ids=lambda item: f"{item['kind']}/{item['metadata']['name']}")
def test_every_object_is_one_that_kubernetes_knows_field_by_field(item: dict[str, Any]) -> None:
    model = getattr(kubernetes.client.models, f"V1{item['kind']}")
    model.model_validate(item, strict=True, extra="forbid")


def test_one_file_installs_all_of_it() -> None:
    assert Counter(item["kind"] for item in MANIFESTS.items) == {
        "Namespace": 1,
        "CustomResourceDefinition": 1,
        "ServiceAccount": 2,
        "Deployment": 2,
        "Service": 1,
        "PodDisruptionBudget": 1,
        "ConfigMap": 1,
        "MutatingWebhookConfiguration": 1,
        "ValidatingWebhookConfiguration": 1,
        "ClusterRole": 3,
        "ClusterRoleBinding": 2,
        "Role": 4,
        "RoleBinding": 4,
    }


def test_nothing_is_asked_of_the_webhook_before_it_is_installed() -> None:
    kinds = [item["kind"] for item in MANIFESTS.items]
    assert kinds[:2] == ["Namespace", "CustomResourceDefinition"]
    assert kinds[-2:] == ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]


def test_everything_is_labelled_as_ours_so_that_it_can_be_listed() -> None:
    for item in MANIFESTS.items:
        assert item["metadata"]["labels"]["app.kubernetes.io/name"] == "pullsizer", item["metadata"]["name"]


# -- webhooks ---------------------------------------------------------------------------------------------------------


def test_configurations_are_called_after_kserve_s() -> None:
    for item in MANIFESTS.all("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        assert item["metadata"]["name"] == names.WEBHOOK_CONFIGURATION
    assert names.WEBHOOK_CONFIGURATION > "inferenceservice.serving.kserve.io"


@pytest.mark.parametrize("webhook", MANIFESTS.webhooks(), ids=lambda webhook: webhook["name"])
def test_a_webhook_fails_open_in_five_seconds_and_has_no_side_effect(webhook: dict[str, Any]) -> None:
    assert webhook["failurePolicy"] == "Ignore"
    assert webhook["timeoutSeconds"] == WEBHOOK_TIMEOUT_SECONDS == 5
    assert webhook["sideEffects"] == "None"
    assert webhook["admissionReviewVersions"] == ["v1"]
    assert webhook["matchPolicy"] == "Equivalent"
    # The controller owns the field; one in the manifest would take it away at each apply.
    assert "caBundle" not in webhook["clientConfig"]


@pytest.mark.parametrize("webhook", MANIFESTS.webhooks(), ids=lambda webhook: webhook["name"])
def test_a_webhook_reaches_a_port_that_the_container_opens(webhook: dict[str, Any]) -> None:
    reached = webhook["clientConfig"]["service"]
    assert (reached["namespace"], reached["name"]) == (NAMESPACE, names.SERVICE)
    assert reached["path"] in ("/mutate-pods", "/validate")
    service = MANIFESTS.get("Service", names.SERVICE, NAMESPACE)
    (port,) = service["spec"]["ports"]
    assert port["port"] == reached["port"] == 443
    deployment = MANIFESTS.get("Deployment", WEBHOOK)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert selects({"matchLabels": service["spec"]["selector"]}, labels)
    ports = {item["name"]: item["containerPort"] for item in WEBHOOK_CONTAINER["ports"]}
    assert ports[port["targetPort"]] == WebhookSettings().port
    assert ports["metrics"] == WebhookSettings().metrics_port


@pytest.mark.parametrize(
    ("labels", "by"),
    [
        (CLASSIC_POD, "inferenceservice.pods.pullsizer.dev"),
        (LLM_POD, "llminferenceservice.pods.pullsizer.dev"),
        (CLASSIC_POD | LLM_POD, "inferenceservice.pods.pullsizer.dev"),
    ],
    ids=["InferenceService", "LLMInferenceService", "both"],
)
def test_a_model_pod_is_sent_once(labels: dict[str, str], by: str) -> None:
    assert [hook["name"] for hook in MANIFESTS.webhooks(mutating=True) if selects(hook["objectSelector"], labels)] == [
        by
    ]


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"app": "shop"},
        {"app.kubernetes.io/part-of": "shop"},
        CLASSIC_POD | {names.INJECT: "disabled"},
        LLM_POD | {names.INJECT: "disabled"},
    ],
)
def test_a_pod_without_a_model_or_with_the_opt_out_is_never_sent(labels: dict[str, str]) -> None:
    assert not any(selects(hook["objectSelector"], labels) for hook in MANIFESTS.webhooks(mutating=True))


@pytest.mark.parametrize(
    ("labels", "called"),
    [
        ({"kubernetes.io/metadata.name": "models"}, True),
        ({"kubernetes.io/metadata.name": "models", names.INJECT: "enabled"}, True),
        ({"kubernetes.io/metadata.name": "models", names.INJECT: "disabled"}, False),
        # where KServe does not inject either
        ({"kubernetes.io/metadata.name": "kserve", "control-plane": "kserve-controller-manager"}, False),
        ({"kubernetes.io/metadata.name": "kube-system"}, False),
        ({"kubernetes.io/metadata.name": NAMESPACE}, False),
    ],
)
def test_namespaces_of_the_system_and_those_that_opted_out_are_left_alone(labels: dict[str, str], called: bool) -> None:
    for hook in MANIFESTS.webhooks(mutating=True):
        assert selects(hook["namespaceSelector"], labels) is called


def test_pods_are_sent_at_creation_only_and_again_after_a_later_change() -> None:
    for hook in MANIFESTS.webhooks(mutating=True):
        (rule,) = hook["rules"]
        assert (rule["resources"], rule["operations"]) == (["pods"], ["CREATE"])
        assert hook["reinvocationPolicy"] == "IfNeeded"
        # One that is false in the first round is never asked again.
        assert "matchConditions" not in hook


def test_validation_sees_the_policy_and_services_and_no_subresource() -> None:
    policy, services = MANIFESTS.webhooks(mutating=False)
    assert policy["rules"][0]["resources"] == ["configmaps"]
    assert selects(policy["namespaceSelector"], {"kubernetes.io/metadata.name": NAMESPACE})
    assert not selects(policy["namespaceSelector"], {"kubernetes.io/metadata.name": "models"})
    assert names.POLICY_CONFIGMAP in policy["matchConditions"][0]["expression"]
    assert services["rules"][0]["resources"] == ["inferenceservices", "llminferenceservices"]
    assert services["rules"][0]["apiVersions"] == ["*"]
    for hook in (policy, services):
        assert hook["rules"][0]["operations"] == ["CREATE", "UPDATE"]


# -- processes --------------------------------------------------------------------------------------------------------


def test_each_role_has_its_own_deployment_and_account() -> None:
    for name, role in ((WEBHOOK, "webhook"), (CONTROLLER, "controller")):
        pod = MANIFESTS.get("Deployment", name)["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == name
        assert pod["containers"][0]["args"] == [role]
        assert "hostNetwork" not in pod


def test_containers_run_as_nobody_on_a_file_system_they_cannot_change() -> None:
    for deployment in MANIFESTS.all("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
        assert [set(volume) for volume in pod["volumes"]] == [{"name", "emptyDir"}]


def test_memory_is_bounded_and_cpu_is_not_throttled() -> None:
    for container in MANIFESTS.containers():
        resources = container["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}
        assert set(resources["limits"]) == {"memory"}
    assert WEBHOOK_CONTAINER["resources"]["limits"]["memory"] == "256Mi"


def test_processes_learn_their_namespace_from_the_pod() -> None:
    for container in MANIFESTS.containers():
        assert container["env"] == [
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
        ]


def test_the_webhook_is_ready_where_the_api_server_calls_it() -> None:
    ready = WEBHOOK_CONTAINER["readinessProbe"]["httpGet"]
    assert ready == {"path": "/readyz", "port": "webhook", "scheme": "HTTPS"}
    # Without a certificate there is no TLS to be alive on, and a restart would not bring one.
    assert WEBHOOK_CONTAINER["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}


def test_the_controller_s_probes_are_where_it_serves_them() -> None:
    (container,) = MANIFESTS.get("Deployment", CONTROLLER)["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": ControllerSettings().metrics_port}]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}


def test_a_replica_drains_before_it_is_killed() -> None:
    pod = MANIFESTS.get("Deployment", WEBHOOK)["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > WebhookSettings().drain_seconds + WEBHOOK_TIMEOUT_SECONDS
    assert "lifecycle" not in WEBHOOK_CONTAINER


def test_one_webhook_replica_is_always_there() -> None:
    deployment = MANIFESTS.get("Deployment", WEBHOOK)["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    labels = deployment["template"]["metadata"]["labels"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert [item["topologyKey"] for item in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(selects(item["labelSelector"], labels) for item in spread)
    budget = MANIFESTS.get("PodDisruptionBudget", WEBHOOK, NAMESPACE)["spec"]
    assert budget["minAvailable"] == 1
    assert selects(budget["selector"], labels)
    # It is not for the controller: that has one replica, and no node could be drained.
    assert not selects(
        budget["selector"], MANIFESTS.get("Deployment", CONTROLLER)["spec"]["template"]["metadata"]["labels"]
    )


def test_selectors_of_deployments_do_not_overlap() -> None:
    webhook, controller = (MANIFESTS.get("Deployment", name)["spec"] for name in (WEBHOOK, CONTROLLER))
    for one, other in ((webhook, controller), (controller, webhook)):
        assert selects(one["selector"], one["template"]["metadata"]["labels"])
        assert not selects(one["selector"], other["template"]["metadata"]["labels"])


def test_a_new_controller_stands_by_before_the_old_one_lets_go_of_the_lease() -> None:
    spec = MANIFESTS.get("Deployment", CONTROLLER)["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_image_is_set_in_one_place_and_its_tag_is_the_version() -> None:
    (image,) = yaml.safe_load((BASE / "kustomization.yaml").read_text())["images"]
    assert image["newTag"] == __version__
    assert {container["image"] for container in MANIFESTS.containers()} == {f"{image['newName']}:{image['newTag']}"}
    for file in ("webhook.yaml", "controller.yaml"):
        assert re.findall(r"image: (.*)", (BASE / file).read_text()) == [image["name"]]


# -- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", [WEBHOOK, CONTROLLER])
def test_rights_are_spelt_out(account: str) -> None:
    for _, rule in MANIFESTS.rules(account):
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert "nonResourceURLs" not in rule


def test_the_webhook_writes_nothing() -> None:
    for _, rule in MANIFESTS.rules(WEBHOOK):
        assert set(rule["verbs"]) == {"list", "watch"}


def test_the_controller_writes_to_no_service_and_deletes_only_modelpulls() -> None:
    reads = {"list", "watch"}
    for _, rule in MANIFESTS.rules(CONTROLLER):
        if rule["apiGroups"] in ([names.KSERVE_GROUP], ["apiextensions.k8s.io"]):
            assert set(rule["verbs"]) <= reads
        if {"pods", "nodes", "namespaces"}.intersection(rule["resources"]):
            assert set(rule["verbs"]) <= reads
        if {"delete", "deletecollection"}.intersection(rule["verbs"]):
            assert rule["resources"] == [names.PLURAL]


def test_secrets_configmaps_and_leases_are_reached_by_name_in_known_namespaces() -> None:
    found = set()
    for account in (WEBHOOK, CONTROLLER):
        for where, rule in MANIFESTS.rules(account):
            if not {"secrets", "configmaps", "leases"}.intersection(rule["resources"]):
                continue
            assert where != "*"
            if rule["verbs"] == ["create"]:  # by POST, which names nothing in its path
                assert (account, where, rule["resources"]) == (CONTROLLER, NAMESPACE, ["leases"])
                continue
            (resource,) = rule["resources"]
            writes = bool(set(rule["verbs"]) - {"get", "list", "watch"})
            found |= {(account, where, resource, name, writes) for name in rule["resourceNames"]}
    assert found == {
        (WEBHOOK, NAMESPACE, "configmaps", names.ACCEPTED_CONFIGMAP, False),
        (WEBHOOK, NAMESPACE, "secrets", names.LEAF_SECRET, False),
        (WEBHOOK, NAMESPACE, "leases", names.LEASE, False),
        (WEBHOOK, KSERVE_NAMESPACE, "configmaps", names.KSERVE_CONFIGMAP, False),
        (CONTROLLER, KSERVE_NAMESPACE, "configmaps", names.KSERVE_CONFIGMAP, False),
        (CONTROLLER, NAMESPACE, "configmaps", names.POLICY_CONFIGMAP, False),
        (CONTROLLER, NAMESPACE, "configmaps", names.ACCEPTED_CONFIGMAP, True),
        (CONTROLLER, NAMESPACE, "secrets", names.CA_SECRET, True),
        (CONTROLLER, NAMESPACE, "secrets", names.LEAF_SECRET, True),
        (CONTROLLER, NAMESPACE, "leases", names.LEASE, True),
    }


def test_only_our_own_webhook_configurations_can_be_changed_and_never_made_or_deleted() -> None:
    rules = [rule for _, rule in MANIFESTS.rules(CONTROLLER) if "admissionregistration.k8s.io" in rule["apiGroups"]]
    (rule,) = rules
    assert rule["resourceNames"] == [names.WEBHOOK_CONFIGURATION]
    assert set(rule["verbs"]) == {"list", "watch", "patch"}


def test_whoever_may_view_a_namespace_may_view_its_modelpulls() -> None:
    role = MANIFESTS.get("ClusterRole", "pullsizer-view")
    for name in ("view", "edit", "admin"):
        assert role["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{name}"] == "true"
    assert role["rules"] == [
        {"apiGroups": [names.GROUP], "resources": [names.PLURAL], "verbs": ["get", "list", "watch"]}
    ]


# -- the policy -------------------------------------------------------------------------------------------------------


def test_the_shipped_policy_is_the_default_one() -> None:
    configmap = MANIFESTS.get("ConfigMap", names.POLICY_CONFIGMAP, NAMESPACE)
    assert list(configmap["data"]) == [names.POLICY_KEY]
    assert load_policy(configmap["data"][names.POLICY_KEY]) == load_policy("mode: Auto")


def test_an_upgrade_can_leave_the_policy_alone_by_its_label() -> None:
    labelled = [
        item["metadata"]["name"]
        for item in MANIFESTS.items
        if item["metadata"]["labels"].get("app.kubernetes.io/component") == "policy"
    ]
    assert labelled == [names.POLICY_CONFIGMAP]


def test_the_folder_operator_is_no_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
