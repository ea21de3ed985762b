"""Pullsizer installed from deploy/base on a control plane, its two roles as real processes outside of it.

Each role has nothing but the token of its ServiceAccount, so what it may do is what the manifests say. Left out of the
manifests: the Deployments, in whose place the processes are. Changed: the webhooks' `clientConfig`, which names the
process by URL in place of the Service, and the policy.
"""

from __future__ import annotations

import functools
import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

import yaml

from tests.controlplane import ControlPlane, ControlPlaneError
from tests.controlplane.cluster import Document
from tests.controlplane.ports import listens

ROOT: Final = Path(__file__).parent.parent
NAMESPACE: Final = "pullsizer-system"
CONFIGURATION: Final = "pullsizer.dev"


class Installation:
    """Pullsizer on a control plane: `start`, use, `stop`.

    :param policy: the text of config.yaml
    """

    def __init__(self, plane: ControlPlane, policy: str) -> None:
        self.plane = plane
        self.policy = policy
        self.webhook_port = plane.free_port()
        self.webhook_metrics_port = plane.free_port()
        self.controller_metrics_port = plane.free_port()

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        self.apply()
        self.start_controller()
        self.start_webhook()
        self.until_effective()
        return self

    def stop(self) -> None:
        """Take Pullsizer off the plane again, as the README's uninstall does: first what calls it."""
        for kind in ("mutatingwebhookconfiguration", "validatingwebhookconfiguration"):
            self.plane.kubectl("delete", kind, CONFIGURATION, "--ignore-not-found")
        for name in ("pullsizer-webhook", "pullsizer-controller"):
            self.plane.stop_process(name)
        self.plane.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def apply(self) -> None:
        """Apply the manifests, as `kubectl apply --server-side -k deploy/base` would."""
        documents = [item for item in self.manifests() if item["kind"] != "Deployment"]
        by_url = self.plane.webhook_by_url(documents, self.webhook_port)
        for item in by_url:
            if item["kind"] == "ConfigMap" and item["metadata"]["name"] == "pullsizer-config":
                item["data"] = {"config.yaml": self.policy}
        first = [item for item in by_url if item["kind"] in ("Namespace", "CustomResourceDefinition")]
        self.plane.apply(first)
        self.plane.apply([item for item in by_url if item not in first])

    def manifests(self) -> list[Document]:
        return [*render(self.plane)]

    def start_controller(self, name: str = "pullsizer-controller", port: int | None = None, **environment: str) -> None:
        metrics = port or self.controller_metrics_port
        flags = ["--webhook-hosts", "127.0.0.1", "--metrics-port", str(metrics)]
        self._spawn(name, "controller", flags, "pullsizer-controller", environment)

    def start_webhook(self, *, wait: bool = True) -> None:
        flags = ["--port", str(self.webhook_port), "--metrics-port", str(self.webhook_metrics_port)]
        self._spawn("pullsizer-webhook", "webhook", [*flags, "--drain-seconds", "0"], "pullsizer-webhook", {})
        if wait:
            self.until_ready()

    def _spawn(self, name: str, role: str, flags: list[str], account: str, environment: dict[str, str]) -> None:
        kubeconfig = self.plane.token_kubeconfig(NAMESPACE, account)
        command = [sys.executable, "-m", "pullsizer", role, "--namespace", NAMESPACE, "--host", "127.0.0.1"]
        self.plane.spawn(name, [*command, "--kubeconfig", str(kubeconfig), *flags], **environment)

    # -- waiting ------------------------------------------------------------------------------------------------------

    def until_ready(self) -> None:
        """Until the webhook has its certificate and its caches."""
        self.plane.until(self.ready, 30, "the webhook is ready (logs/pullsizer-webhook.log)")

    def ready(self) -> bool:
        try:
            url = f"https://127.0.0.1:{self.webhook_port}/readyz"
            with urllib.request.urlopen(url, timeout=2, context=self._context()) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @staticmethod
    def _context() -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def until_effective(self) -> None:
        """Until the API server asks us: it takes a moment to hear of a configuration and of its caBundle."""
        self.until_ready()
        self.until_accepted(self.policy)
        probe = json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "generateName": "probe-",
                    "namespace": "default",
                    "labels": {"app.kubernetes.io/part-of": "llminferenceservice"},
                    "annotations": {"pullsizer.dev/mode": "Auto"},
                },
                "spec": {
                    "initContainers": [
                        {"name": "storage-initializer", "image": "none", "args": ["s3://probe/model", "/mnt/models"]}
                    ],
                    "containers": [{"name": "main", "image": "none"}],
                },
            }
        )

        def asked() -> bool:
            made = self.plane.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=probe)
            return "pullsizer.dev/sizing" in json.loads(made)["metadata"]["annotations"]

        self.plane.until(asked, 30, "the API server asks the webhook")

    def until_accepted(self, policy: str) -> None:
        """Until the controller accepted the policy and the webhook acts on it."""

        def accepted() -> bool:
            found = self.plane.get("configmap", "pullsizer-config-accepted", NAMESPACE)
            return bool(found["data"]["config.yaml"] == policy)

        self.plane.until(accepted, 30, "the policy is accepted (logs/pullsizer-controller.log)")

    def set_policy(self, policy: str) -> None:
        """Change the policy as an administrator does."""
        self.policy = policy
        document = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "pullsizer-config", "namespace": NAMESPACE},
            "data": {"config.yaml": policy},
        }
        self.plane.apply(document)
        self.until_accepted(policy)

    # -- looking ------------------------------------------------------------------------------------------------------

    def metric(self, name: str, role: str = "webhook", **labels: str) -> float:
        """The value of a metric of one role; 0 where it was never counted."""
        port = self.webhook_metrics_port if role == "webhook" else self.controller_metrics_port
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError as error:
            raise ControlPlaneError(f"the {role} shows no metrics: {error}") from error
        total = 0.0
        for line in lines:
            series, _, value = line.rpartition(" ")
            head, _, rest = series.partition("{")
            if head == name and all(f'{key}="{text}"' in rest for key, text in labels.items()):
                total += float(value)
        return total


def start_hub(plane: ControlPlane, latency: float = 0.0, repositories: Mapping[str, Path] | None = None) -> str:
    """The URL of the stub that stands for the Hub and for a web server; it lives and dies with the plane.

    :param repositories: that it has beside its own, each of the shape of a folder
    """
    port = plane.free_port()
    command = [sys.executable, "-m", "tests.stubs.hub", "--port", str(port), "--latency", str(latency)]
    for name, folder in (repositories or {}).items():
        command += ["--repository", name, str(folder)]
    plane.spawn("hub", command, PYTHONPATH=str(ROOT))
    plane.until(lambda: listens(port), 20, "the stub of the Hub listens (logs/hub.log)")
    return f"http://127.0.0.1:{port}"


@functools.cache
def _rendered(kubectl: Path) -> str:

    return subprocess.run(
        [str(kubectl), "kustomize", str(ROOT / "deploy" / "base")], capture_output=True, text=True, check=True
    ).stdout


def render(plane: ControlPlane) -> Iterable[dict[str, Any]]:
    """The objects of deploy/base."""
    return [item for item in yaml.safe_load_all(_rendered(plane.kubectl_path)) if item]
