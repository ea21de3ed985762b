"""A cluster as tests see it: what can be done with a kubeconfig and kubectl alone, be the cluster ours or someone's."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml

from .errors import ControlPlaneError
from .ports import HOST

Document = dict[str, Any]
"""A Kubernetes object as JSON holds it."""

T = TypeVar("T")


class Cluster:
    """kubectl, and what is made of it."""

    folder: Path
    """For files that go with the cluster's use: kubeconfigs, kubectl's cache."""
    kubeconfig: Path
    """The administrator's."""
    kubectl_path: Path

    @property
    def environment(self) -> dict[str, str] | None:
        """For commands against the cluster; None: the caller's own."""
        return None

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl prints, as administrator; with `check`, an error with its stderr when it fails.

        Arguments of the caller win over ours, so `--kubeconfig` may name another one, see token_kubeconfig.
        """
        # Its cache goes into our folder: in the user's, each control plane's port would leave one behind.
        command = [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.folder / 'kubectl'}"]
        done = subprocess.run(
            [*command, *args], input=stdin, capture_output=True, text=True, check=False, env=self.environment
        )
        if check and done.returncode:
            raise ControlPlaneError(f"kubectl {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def apply(self, documents: Document | Iterable[Document], *args: str) -> None:
        """Makes the objects so, server-side: KServe's largest CRD does not fit into the annotation of the other way.

        Without kubectl's validation, for which the API server computes the OpenAPI of everything: with KServe's CRDs
        that takes seconds. The API server itself validates all the same.
        """
        items = [documents] if isinstance(documents, dict) else list(documents)
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.kubectl("apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-", *args, stdin=text)

    def get(self, kind: str, name: str | None = None, namespace: str | None = None) -> Document:
        """The object, or without a name the list of them (`items`), of one namespace or else of the default one."""
        where = [] if namespace is None else [f"--namespace={namespace}"]
        found: Document = json.loads(self.kubectl("get", kind, *([name] if name else []), *where, "--output=json"))
        return found

    def until(self, condition: Callable[[], T], timeout: float, what: str, pause: float = 0.1) -> T:
        """The condition's first true value. A failing kubectl in it counts as not yet: objects come and go."""
        deadline = time.monotonic() + timeout
        reason = ""
        while True:
            try:
                if value := condition():
                    return value
            except ControlPlaneError as error:
                reason = f": {error}"
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"not after {timeout:g} s: {what}{reason}")
            time.sleep(pause)

    def token_kubeconfig(self, namespace: str, service_account: str) -> Path:
        """A kubeconfig that holds a token of this service account and nothing else.

        `kubectl --token` with the administrator's kubeconfig would not do: its client certificate wins.
        """
        token = self.kubectl("create", "token", service_account, f"--namespace={namespace}", "--duration=24h").strip()
        target = self.folder / "kubeconfigs" / f"{namespace}.{service_account}"
        config = yaml.safe_load(self.kubeconfig.read_text())
        context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        return write_kubeconfig(target, cluster, {"token": token}, namespace=namespace)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._current()["cluster"]["server"])

    @property
    def ca(self) -> Path:
        """A file with the CA that signed the API server's certificate."""
        target = self.folder / "cluster-ca.crt"
        if not target.exists():
            target.write_bytes(base64.b64decode(self._current()["cluster"]["certificate-authority-data"]))
        return target

    def _current(self) -> Document:
        view = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
        return {"cluster": view["clusters"][0]["cluster"], "user": view["users"][0]["user"]}

    @staticmethod
    def webhook_by_url(
        documents: Iterable[Document], port: int, ca_bundle: str | None = None, *, host: str = HOST
    ) -> list[Document]:
        """The documents, each `clientConfig.service` in them replaced by the URL of a server outside the cluster.

        Names, rules, selectors and policies stay as they are, and so does a `caBundle` unless another is given.
        """
        changed = copy.deepcopy(list(documents))
        for client in (found for document in changed for found in _client_configs(document)):
            service = client.pop("service", None)
            if service is not None:
                client["url"] = f"https://{host}:{port}{service.get('path', '/')}"
            if ca_bundle is not None:
                client["caBundle"] = ca_bundle
        return changed


class ExistingCluster(Cluster):
    """Someone's cluster with KServe, named by PULLSIZER_TEST_KUBECONFIG."""

    def __init__(self, kubeconfig: Path, kubectl: Path, folder: Path) -> None:
        if not kubeconfig.exists():
            raise ControlPlaneError(f"PULLSIZER_TEST_KUBECONFIG is {kubeconfig}, which does not exist")
        self.folder = folder
        self.kubectl_path = kubectl
        self.kubeconfig = kubeconfig
        # Flattened, so that a copy elsewhere still has its certificates.
        flat = self.kubectl("config", "view", "--raw", "--minify", "--flatten")
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(flat)


def write_kubeconfig(path: Path, cluster: Document, user: Document, *, namespace: str = "default") -> Path:
    """A kubeconfig of one cluster and one user."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "pullsizer-tests",
        "clusters": [{"name": "pullsizer-tests", "cluster": cluster}],
        "users": [{"name": "pullsizer-tests", "user": user}],
        "contexts": [
            {
                "name": "pullsizer-tests",
                "context": {"cluster": "pullsizer-tests", "user": "pullsizer-tests", "namespace": namespace},
            }
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def _client_configs(document: Document) -> Iterator[Document]:
    """Of webhook configurations, and of CRDs whose conversion is a webhook."""
    for webhook in document.get("webhooks", ()):
        yield webhook["clientConfig"]
    conversion = document.get("spec", {}).get("conversion", {}) if document.get("kind") == DEFINITION else {}
    if "clientConfig" in conversion.get("webhook", {}):
        yield conversion["webhook"]["clientConfig"]


DEFINITION = "CustomResourceDefinition"
