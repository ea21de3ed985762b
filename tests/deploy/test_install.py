"""install.yaml and a real API server: whether it takes it, whom it asks, what an upgrade leaves alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from pullsizer import names
from tests.controlplane.cluster import Cluster
from tests.controlplane.errors import ControlPlaneError
from tests.controlplane.ports import free_port

from .manifests import CONTROLLER, WEBHOOK, Manifests
from .render import INSTALL, Document

# In someone's cluster they would lie beside what is installed there.
pytestmark = pytest.mark.needs_own_plane

MANIFESTS = Manifests.load()
NAMESPACE = "pullsizer-system"
RESTRICTED = "pod-security.kubernetes.io/enforce"


def ours(cluster: Cluster) -> None:
    """Makes the namespace; one that another test has just let go of must be gone first."""

    def active() -> bool:
        cluster.apply(MANIFESTS.all("Namespace"))
        return bool(cluster.get("namespace", NAMESPACE)["status"]["phase"] == "Active")

    cluster.until(active, 60, f"namespace {NAMESPACE} is there")


# -- the API server takes it ------------------------------------------------------------------------------------------


def test_the_api_server_takes_every_object_and_knows_every_field(control_plane: Cluster) -> None:
    ours(control_plane)
    said = control_plane.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", f"--filename={INSTALL}"
    )
    assert said.count("(server dry run)") == len(MANIFESTS.items)


@pytest.mark.parametrize("name", [WEBHOOK, CONTROLLER])
def test_pods_of_both_deployments_are_allowed_where_pod_security_is_restricted(
    control_plane: Cluster, namespace: str, name: str
) -> None:
    assert MANIFESTS.get("Namespace", NAMESPACE)["metadata"]["labels"][RESTRICTED] == "restricted"
    control_plane.kubectl("label", "namespace", namespace, f"{RESTRICTED}=restricted")
    template = copy.deepcopy(MANIFESTS.get("Deployment", name)["spec"]["template"])
    template["spec"]["serviceAccountName"] = "default"
    template["metadata"]["name"] = name
    create(control_plane, {"apiVersion": "v1", "kind": "Pod", **template}, namespace)


# -- an upgrade -------------------------------------------------------------------------------------------------------


@pytest.fixture
def policy(control_plane: Cluster, namespace: str) -> Document:
    """The shipped ConfigMap with the namespace of a test, applied as the README says."""
    shipped = copy.deepcopy(MANIFESTS.get("ConfigMap", names.POLICY_CONFIGMAP))
    shipped["metadata"]["namespace"] = namespace
    upgrade(control_plane, shipped)
    return shipped


def upgrade(cluster: Cluster, item: Document, *args: str) -> str:
    return cluster.kubectl("apply", "--server-side", *args, "--filename=-", stdin=json.dumps(item))


@pytest.fixture
def newer(namespace: str, policy: Document) -> Document:
    """What a newer install.yaml might hold: the shipped policy, and a Service that was not there before."""
    service = copy.deepcopy(MANIFESTS.get("Service", names.SERVICE))
    service["metadata"]["namespace"] = namespace
    return {"apiVersion": "v1", "kind": "List", "items": [policy, service]}


def test_an_upgrade_that_leaves_out_the_policy_keeps_the_administrator_s(
    control_plane: Cluster, namespace: str, newer: Document
) -> None:
    set_policy(control_plane, namespace, "mode: Disabled\n")
    said = upgrade(control_plane, newer, "--selector=app.kubernetes.io/component!=policy")
    assert said.split() == [f"service/{names.SERVICE}", "serverside-applied"]
    assert get_policy(control_plane, namespace) == "mode: Disabled\n"


def test_an_upgrade_that_forgets_to_leave_it_out_is_told_of_a_conflict_and_does_the_rest(
    control_plane: Cluster, namespace: str, newer: Document
) -> None:
    set_policy(control_plane, namespace, "mode: Disabled\n")
    with pytest.raises(ControlPlaneError, match=r"conflict.*\n?.*config\.yaml"):
        upgrade(control_plane, newer)
    assert get_policy(control_plane, namespace) == "mode: Disabled\n"
    assert control_plane.get("service", names.SERVICE, namespace)


def set_policy(cluster: Cluster, namespace: str, text: str) -> None:
    """As `kubectl edit` does."""
    patch = json.dumps({"data": {names.POLICY_KEY: text}})
    cluster.kubectl(
        "patch", "configmap", names.POLICY_CONFIGMAP, f"--namespace={namespace}", "--type=merge", f"--patch={patch}"
    )


def get_policy(cluster: Cluster, namespace: str) -> str:
    return str(cluster.get("configmap", names.POLICY_CONFIGMAP, namespace)["data"][names.POLICY_KEY])


# -- whom the API server asks -----------------------------------------------------------------------------------------


@pytest.fixture
def asked(control_plane: Cluster, namespace: str) -> Iterator[str]:
    """A namespace in which both configurations are at work and nobody answers: with failurePolicy Fail, what would be
    sent to us is refused, and everything else is not.
    """
    copies = [
        refusing(item, namespace)
        for item in MANIFESTS.all("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    ]
    control_plane.apply(copies)
    control_plane.until(lambda: is_asked(control_plane, pod(CLASSIC), namespace), 10, "the webhooks are known")
    control_plane.until(
        lambda: is_asked(control_plane, configmap(names.POLICY_CONFIGMAP), namespace), 10, "the webhooks are known"
    )
    yield namespace
    for item in copies:
        control_plane.kubectl("delete", item["kind"].lower(), item["metadata"]["name"])


def refusing(configuration: Document, namespace: str) -> Document:
    """The configuration for one namespace only, which also stands for that of Pullsizer, and with a closed port."""
    changed = copy.deepcopy(configuration)
    changed["metadata"]["name"] = f"{namespace}.{names.WEBHOOK_CONFIGURATION}"
    for webhook in changed["webhooks"]:
        webhook["failurePolicy"] = "Fail"
        webhook["clientConfig"] = {"url": f"https://127.0.0.1:{free_port()}/"}
        expressions = [
            item
            for item in webhook.get("namespaceSelector", {}).get("matchExpressions", ())
            if item != {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [NAMESPACE]}
        ]
        only = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]}
        webhook["namespaceSelector"] = {"matchExpressions": [*expressions, only]}
    return changed


def create(cluster: Cluster, item: Document, namespace: str) -> None:
    cluster.kubectl("create", "--dry-run=server", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(item))


def is_asked(cluster: Cluster, item: Document, namespace: str) -> str:
    """The name of the webhook of ours that the API server would ask about a new object; empty where none."""
    try:
        create(cluster, item, namespace)
    except ControlPlaneError as error:
        for webhook in MANIFESTS.webhooks():
            if f'failed calling webhook "{webhook["name"]}"' in str(error):
                return str(webhook["name"])
        raise
    return ""


CLASSIC = {"serving.kserve.io/inferenceservice": "bert"}
LLM = {"app.kubernetes.io/part-of": "llminferenceservice", "app.kubernetes.io/name": "llama"}
OPTED_OUT = {names.INJECT: "disabled"}


def pod(labels: dict[str, str]) -> Document:
    container = {"name": "main", "image": "model"}
    metadata = {"name": "model", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def configmap(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"config.yaml": ""}}


def service(kind: str, **metadata: Any) -> Document:
    storage = {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://bucket/model"}}
    spec: Document = {"predictor": storage} if kind == "InferenceService" else {"model": {"uri": "hf://org/model"}}
    version = "v1beta1" if kind == "InferenceService" else "v1alpha1"
    return {
        "apiVersion": f"serving.kserve.io/{version}",
        "kind": kind,
        "metadata": {"name": "bert", **metadata},
        "spec": spec,
    }


def test_the_api_server_asks_about_model_pods_and_no_others(control_plane: Cluster, asked: str) -> None:
    assert is_asked(control_plane, pod(CLASSIC), asked) == "inferenceservice.pods.pullsizer.dev"
    assert is_asked(control_plane, pod(LLM), asked) == "llminferenceservice.pods.pullsizer.dev"
    for labels in ({}, {"app": "shop"}, CLASSIC | OPTED_OUT, LLM | OPTED_OUT):
        assert not is_asked(control_plane, pod(labels), asked), labels


def test_the_api_server_asks_about_the_policy_and_no_other_configmap(control_plane: Cluster, asked: str) -> None:
    assert is_asked(control_plane, configmap(names.POLICY_CONFIGMAP), asked) == "policy.pullsizer.dev"
    for name in (names.ACCEPTED_CONFIGMAP, "settings"):
        assert not is_asked(control_plane, configmap(name), asked), name


@pytest.mark.parametrize("kind", [names.INFERENCE_SERVICE, names.LLM_INFERENCE_SERVICE])
@pytest.mark.parametrize("metadata", [{}, {"annotations": {"pullsizer.dev/model-size": "15Gi"}}], ids=["plain", "ours"])
def test_the_api_server_asks_about_every_new_service(
    control_plane: Cluster, asked: str, kind: str, metadata: dict[str, Any]
) -> None:
    assert is_asked(control_plane, service(kind, **metadata), asked) == "services.pullsizer.dev"


def test_the_api_server_asks_about_a_change_of_what_is_pulled_or_of_what_is_asked_of_us(
    control_plane: Cluster, namespace: str
) -> None:
    control_plane.apply(service(names.INFERENCE_SERVICE), f"--namespace={namespace}")
    configuration = refusing(MANIFESTS.get("ValidatingWebhookConfiguration", names.WEBHOOK_CONFIGURATION), namespace)
    control_plane.apply(configuration)

    def refused(change: Document) -> bool:
        where = ("inferenceservice", "bert", f"--namespace={namespace}", "--type=merge", "--dry-run=server")
        try:
            control_plane.kubectl("patch", *where, f"--patch={json.dumps(change)}")
        except ControlPlaneError as error:
            return "services.pullsizer.dev" in str(error)
        return False

    moved = {"spec": {"predictor": {"model": {"storageUri": "gs://bucket/other"}}}}
    try:
        control_plane.until(lambda: refused(moved), 10, "an update is sent")
        for annotation in ("pullsizer.dev/model-size", "storage.kserve.io/initializer-memory-limit"):
            assert refused({"metadata": {"annotations": {annotation: "4Gi"}}})
        assert refused({"metadata": {"labels": {"pullsizer.dev/inject": "disabled"}}})
        for other in ({"annotations": {"team": "search"}}, {"labels": {"team": "search"}}):
            assert not refused({"metadata": other}), other
    finally:
        control_plane.kubectl("delete", "validatingwebhookconfiguration", configuration["metadata"]["name"])


def test_a_service_that_is_being_deleted_and_one_s_status_are_never_asked_about(
    control_plane: Cluster, namespace: str
) -> None:
    item = service(
        names.INFERENCE_SERVICE,
        annotations={"pullsizer.dev/model-size": "15Gi"},
        finalizers=["example.com/hold"],
    )
    control_plane.apply(item, f"--namespace={namespace}")
    configuration = refusing(MANIFESTS.get("ValidatingWebhookConfiguration", names.WEBHOOK_CONFIGURATION), namespace)
    control_plane.apply(configuration)

    def patch(change: Document, *args: str) -> str:
        where = ("inferenceservice", "bert", f"--namespace={namespace}")
        return control_plane.kubectl("patch", *where, "--type=merge", f"--patch={json.dumps(change)}", *args)

    def refused() -> bool:
        try:
            patch({"metadata": {"labels": {"team": "search"}}}, "--dry-run=server")
        except ControlPlaneError as error:
            return "services.pullsizer.dev" in str(error)
        return False

    try:
        control_plane.until(refused, 10, "an update is sent")
        patch({"status": {"url": "http://bert"}}, "--subresource=status")
        control_plane.kubectl("delete", "inferenceservice", "bert", f"--namespace={namespace}", "--wait=false")
        patch({"metadata": {"finalizers": None}})
        control_plane.until(
            lambda: (
                not control_plane.kubectl(
                    "get", "inferenceservice", "bert", f"--namespace={namespace}", "--ignore-not-found"
                )
            ),
            30,
            "it is gone",
        )
    finally:
        control_plane.kubectl("delete", "validatingwebhookconfiguration", configuration["metadata"]["name"])


# -- rights, as the API server sees them ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rights(control_plane: Cluster) -> Cluster:
    """The cluster with our accounts and roles in it."""
    ours(control_plane)
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    control_plane.apply(MANIFESTS.all(*kinds))
    control_plane.until(
        lambda: may(control_plane, WEBHOOK, "watch", ("", "namespaces", "", "")), 10, "the roles are known"
    )
    return control_plane


Target = tuple[str, str, str, str]
"""API group, resource, namespace (empty: all), name (empty: any)."""


def may(cluster: Cluster, account: str, verb: str, target: Target) -> bool:
    """Whether our account may, by the API server's own word."""
    group, resource, namespace, name = target
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": f"system:serviceaccount:{NAMESPACE}:{account}", "resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = json.loads(cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(review)))
    return bool(answer["status"]["allowed"])


REGISTRATION = "admissionregistration.k8s.io"


@pytest.mark.parametrize(
    ("account", "verb", "target"),
    [
        (WEBHOOK, "watch", (names.GROUP, names.PLURAL, "", "")),
        (WEBHOOK, "list", ("", "limitranges", "", "")),
        (WEBHOOK, "watch", ("", "secrets", NAMESPACE, names.LEAF_SECRET)),
        (WEBHOOK, "list", ("", "configmaps", NAMESPACE, names.ACCEPTED_CONFIGMAP)),
        (WEBHOOK, "watch", ("", "configmaps", "kserve", names.KSERVE_CONFIGMAP)),
        (CONTROLLER, "watch", (names.KSERVE_GROUP, "inferenceservices", "", "")),
        (CONTROLLER, "patch", (names.GROUP, names.PLURAL, "", "")),
        (CONTROLLER, "patch", ("", "secrets", NAMESPACE, names.CA_SECRET)),
        (CONTROLLER, "create", ("", "secrets", NAMESPACE, names.CA_SECRET)),
        (CONTROLLER, "watch", ("", "configmaps", "kserve", names.KSERVE_CONFIGMAP)),
        (CONTROLLER, "patch", (REGISTRATION, "mutatingwebhookconfigurations", "", names.WEBHOOK_CONFIGURATION)),
    ],
)
def test_an_account_may_do_its_work(rights: Cluster, account: str, verb: str, target: Target) -> None:
    assert may(rights, account, verb, target)


@pytest.mark.parametrize(
    ("account", "verb", "target"),
    [
        (WEBHOOK, "get", ("", "secrets", NAMESPACE, names.CA_SECRET)),
        (WEBHOOK, "list", ("", "secrets", NAMESPACE, "")),
        (WEBHOOK, "list", ("", "pods", "", "")),
        (WEBHOOK, "patch", (names.GROUP, names.PLURAL, "", "")),
        (CONTROLLER, "list", ("", "secrets", "", "")),
        (CONTROLLER, "list", ("", "secrets", NAMESPACE, "")),
        (CONTROLLER, "get", ("", "secrets", NAMESPACE, "anything")),
        (CONTROLLER, "get", ("", "secrets", "default", names.LEAF_SECRET)),
        (CONTROLLER, "patch", ("", "configmaps", NAMESPACE, names.POLICY_CONFIGMAP)),
        (CONTROLLER, "patch", (names.KSERVE_GROUP, "inferenceservices", "", "")),
        (CONTROLLER, "create", ("", "secrets", NAMESPACE, "anything")),
        (CONTROLLER, "create", (REGISTRATION, "mutatingwebhookconfigurations", "", names.WEBHOOK_CONFIGURATION)),
        (CONTROLLER, "delete", (REGISTRATION, "mutatingwebhookconfigurations", "", names.WEBHOOK_CONFIGURATION)),
        (
            CONTROLLER,
            "patch",
            (REGISTRATION, "mutatingwebhookconfigurations", "", "inferenceservice.serving.kserve.io"),
        ),
    ],
)
def test_an_account_may_not_do_more(rights: Cluster, account: str, verb: str, target: Target) -> None:
    assert not may(rights, account, verb, target)
