"""The control plane that the cluster tests stand on: what it is, what it can be asked for, what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane, ControlPlaneError
from tests.controlplane.cluster import Cluster, Document, ExistingCluster
from tests.controlplane.daemon import CHECKOUT, Daemon, describe
from tests.controlplane.ports import listens

pytestmark = pytest.mark.needs_own_plane


@pytest.fixture
def namespace(control_plane: Cluster, namespace: str) -> str:
    """One that opted out: what is looked at here is KServe's own, whatever other tests have installed."""
    control_plane.kubectl("label", "namespace", namespace, "pullsizer.dev/inject=disabled")
    return namespace


def service(name: str, **annotations: str) -> Document:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": {f"sim.pullsizer.dev/{k}": v for k, v in annotations.items()}},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "huggingface"}, "storageUri": "hf://acme/model"}}},
    }


def pull(cluster: Cluster, namespace: str, service_name: str) -> tuple[Document, Document]:
    """The pull container of the service's pod, and its status; both empty while there is no such pod."""
    of_service = f"--selector=serving.kserve.io/inferenceservice={service_name}"
    pods = json.loads(cluster.kubectl("get", "pods", f"--namespace={namespace}", of_service, "--output=json"))["items"]
    if not pods:
        return {}, {}
    (container,) = pods[0]["spec"]["initContainers"]
    return container, pods[0]["status"].get("initContainerStatuses", [{}])[0]


def conditions(document: Document) -> dict[str, str]:
    return {c["type"]: c["status"] for c in document.get("status", {}).get("conditions", [])}


def test_kserve_makes_a_service_ready_with_the_pull_container_we_are_here_for(
    control_plane: Cluster, namespace: str
) -> None:
    control_plane.apply(service("small"), f"--namespace={namespace}")

    control_plane.until(
        lambda: conditions(control_plane.get("inferenceservice", "small", namespace)).get("Ready") == "True",
        30,
        "the service is Ready",
    )

    container, status = pull(control_plane, namespace, "small")
    assert container["name"] == "storage-initializer"
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "100Mi"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }
    assert status["state"]["terminated"]["reason"] == "Completed"


def test_a_pull_that_needs_more_memory_than_its_limit_is_oom_killed_again_and_again(
    control_plane: Cluster, namespace: str
) -> None:
    annotations = {"needs-mib": "6144", "pull-time": "100ms", "back-off": "300ms"}
    control_plane.apply(service("large", **annotations), f"--namespace={namespace}")

    def backing_off() -> Document:
        status = pull(control_plane, namespace, "large")[1]
        return status if status.get("restartCount", 0) >= 2 and "waiting" in status["state"] else {}

    status = control_plane.until(backing_off, 30, "two restarts")

    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert status["lastState"]["terminated"]["exitCode"] == 137


def test_the_pull_may_be_in_a_container_of_another_name(control_plane: Cluster, namespace: str) -> None:
    annotations = {"pull-container": "my-pull", "needs-mib": "2048", "back-off": "1h"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "own", "annotations": {f"sim.pullsizer.dev/{k}": v for k, v in annotations.items()}},
        "spec": {
            "initContainers": [
                {"name": "storage-initializer", "image": "a"},
                {"name": "my-pull", "image": "b", "resources": {"limits": {"memory": "2047Mi"}}},
            ],
            "containers": [{"name": "main", "image": "c"}],
        },
    }
    enough = json.loads(json.dumps(pod))
    enough["metadata"]["name"] = "enough"
    enough["spec"]["initContainers"][1]["resources"]["limits"]["memory"] = "2Gi"

    control_plane.apply([pod, enough], f"--namespace={namespace}")

    def states() -> tuple[Any, Any] | None:
        own, other = (control_plane.get("pod", name, namespace)["status"] for name in ("own", "enough"))
        killed = [s for s in own.get("initContainerStatuses", ()) if s["state"].get("waiting")]
        return (killed[0]["name"], own["phase"]) if killed and other["phase"] == "Running" else None

    assert control_plane.until(states, 20, "one is killed, one runs") == ("my-pull", "Pending")


def test_a_token_kubeconfig_has_the_rights_of_its_service_account_and_no_more(
    own_plane: ControlPlane, namespace: str
) -> None:
    own_plane.kubectl("create", "serviceaccount", "reader", f"--namespace={namespace}")
    own_plane.kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods", f"--namespace={namespace}")
    own_plane.kubectl(
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        f"--serviceaccount={namespace}:reader",
        f"--namespace={namespace}",
    )
    as_reader = f"--kubeconfig={own_plane.token_kubeconfig(namespace, 'reader')}"

    own_plane.kubectl(as_reader, "get", "pods")
    with pytest.raises(ControlPlaneError, match='cannot list resource "secrets"'):
        own_plane.kubectl(as_reader, "get", "secrets")


def test_the_audit_log_holds_who_asked_for_what_with_the_body_of_kserve_objects(
    own_plane: ControlPlane, namespace: str
) -> None:
    own_plane.apply(service("audited"), f"--namespace={namespace}")

    def ours() -> list[Document]:
        return [
            event
            for event in own_plane.audit_events()
            if event["user"]["username"] == "admin"
            and event.get("objectRef", {}).get("namespace") == namespace
            and event["objectRef"]["resource"] == "inferenceservices"
        ]

    (event,) = own_plane.until(ours, 5, "the request is in the audit log")
    assert event["verb"] == "patch"
    assert event["requestObject"]["spec"]["predictor"]["model"]["storageUri"] == "hf://acme/model"


def test_a_part_that_is_killed_comes_back_on_the_same_port(own_plane: ControlPlane) -> None:
    before = own_plane.processes.get("kserve-manager").popen.pid
    port = int(own_plane.kserve_url.rsplit(":", 1)[1])

    own_plane.restart_part("kserve-manager")

    assert own_plane.processes.get("kserve-manager").popen.pid != before
    assert listens(port)


def test_processes_of_a_test_write_a_log_and_get_time_to_finish(own_plane: ControlPlane) -> None:
    script = "trap 'echo bye; exit 7' TERM; echo $COLOUR; while :; do sleep 0.05; done"
    own_plane.spawn("polite", ["sh", "-c", script], COLOUR="green")
    own_plane.until(lambda: "green" in own_plane.processes.tail("polite"), 5, "it wrote its log")

    assert own_plane.stop_process("polite") == 7
    assert own_plane.processes.tail("polite") == "green\nbye"


def test_an_existing_cluster_offers_the_same(own_plane: ControlPlane, tmp_path: Path, namespace: str) -> None:
    existing = ExistingCluster(own_plane.kubeconfig, own_plane.kubectl_path, tmp_path)

    assert existing.server == own_plane.server
    assert existing.ca.read_bytes() == own_plane.ca.read_bytes()
    assert existing.get("namespace", namespace)["status"]["phase"] == "Active"
    token = existing.token_kubeconfig(namespace, "default")
    with pytest.raises(ControlPlaneError, match=f"system:serviceaccount:{namespace}:default"):
        existing.kubectl(f"--kubeconfig={token}", "get", "pods")


def test_up_and_down_run_a_second_one_beside_ours_and_leave_nothing(own_plane: ControlPlane, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "cluster")
    facts = daemon.up()
    try:
        assert daemon.up() == facts, "a second `up` finds the first"
        assert f"export KUBECONFIG={facts['kubeconfig']}" in describe(facts).splitlines()
        assert facts["kubectl"] in describe(facts)
        kubectl = [facts["kubectl"], f"--kubeconfig={facts['kubeconfig']}"]
        subprocess.run([*kubectl, "create", "namespace", "only-there"], check=True, capture_output=True)
        assert "only-there" not in own_plane.kubectl("get", "namespaces")
        # Both started from the same snapshot; each has its own port in the CRDs that llmisvc converts.
        assert facts["llmisvc_url"] != own_plane.llmisvc_url
        preset = ["get", "llminferenceserviceconfigs.v1alpha1.serving.kserve.io", "--namespace=kserve"]
        subprocess.run([*kubectl, *preset], check=True, capture_output=True)
    finally:
        assert daemon.down()

    assert_gone(facts, time.monotonic() + 5)
    assert not list(tmp_path.iterdir())
    assert not daemon.down()


def test_an_owner_killed_by_sigkill_leaves_nothing(tmp_path: Path, control_plane: Cluster) -> None:
    owner = start_owner(tmp_path / "plane")
    assert owner.stdout is not None
    owner.stdout.readline()
    facts = json.loads(owner.stdout.readline())
    assert len(processes_of(tmp_path / "plane")) > len(facts["pids"]), "there is something to clean up"

    owner.kill()
    owner.communicate()

    assert_gone(facts, time.monotonic() + 10)
    assert not list(tmp_path.iterdir())
    assert control_plane.get("namespace", "default")["status"]["phase"] == "Active", "others are left alone"


def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path: Path, control_plane: Cluster) -> None:
    owner = start_owner(tmp_path / "plane")
    assert owner.stdout is not None
    owner.stdout.readline()
    control_plane.until(
        lambda: any("kube-apiserver" in text for text in processes_of(tmp_path / "plane")), 20, "the API server starts"
    )

    owner.send_signal(signal.SIGINT)
    owner.communicate()

    assert not processes_of(tmp_path / "plane")
    assert not list(tmp_path.iterdir())


OWNER = """
import json, signal, sys, time
from pathlib import Path
from tests.controlplane import ControlPlane
# A run that a shell put into the background has Ctrl-C ignored, and so have all its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
plane = ControlPlane.create(Path(sys.argv[1]), parts=[])
print("created", flush=True)
with plane:
    # A grandchild in a session of its own: neither a signal to a group nor the kernel's at its parent's death meets it.
    plane.spawn("ours", ["sh", "-c", "setsid sleep 600 & sleep 600"])
    print(json.dumps(json.loads(plane.facts())), flush=True)
    time.sleep(600)
"""


def start_owner(folder: Path) -> subprocess.Popen[str]:
    """A process that has a control plane; it prints a line when it has made it and one with its facts when it runs."""
    command = [sys.executable, "-c", OWNER, str(folder)]
    return subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )


def assert_gone(facts: dict[str, Any], deadline: float) -> None:
    """Neither processes, nor ports, nor files."""

    def wait(gone: Callable[[], bool], what: str) -> None:
        while not gone():
            assert time.monotonic() < deadline, what
            time.sleep(0.02)

    folder = Path(facts["kubeconfig"]).parent
    wait(lambda: not processes_of(folder), "processes are left")
    wait(lambda: not folder.exists(), "files are left")
    # A process that ends loses its memory, and with it the mark that it is found by, a moment before its sockets.
    urls = (facts["server"], facts["kserve_url"], facts["llmisvc_url"])
    ports = [int(url.rsplit(":", 1)[1]) for url in urls if url]
    wait(lambda: not any(map(listens, ports)), "ports are left")


def processes_of(folder: Path) -> list[str]:
    """Those with this folder in their command line or environment, wherever they are in the tree."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"{folder}".encode() in text and int(entry.name) != os.getpid():
            found.append(text.decode(errors="replace"))
    return found
