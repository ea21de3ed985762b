"""KServe in a cluster: all of it that is data, from the files of KServe's own module.

No Knative, no Istio, no ingress: Standard mode. KServe's managers run outside the cluster, so their webhooks are
registered by URL; names, selectors and policies are as shipped.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from . import toolchain
from .cluster import DEFINITION, Cluster, Document
from .ports import HOST
from .programs import kserve_folder
from .versions import KSERVE

NAMESPACE = "kserve"
GROUP = "serving.kserve.io"
_INITIALIZER = f"kserve/storage-initializer:{KSERVE}"
LLM_KINDS = ("llminferenceservices", "llminferenceserviceconfigs")


class KServe:
    """The files of KServe's `config`, as objects for one cluster."""

    def __init__(self, cluster: Cluster, ca_bundle: str) -> None:
        self.cluster = cluster
        self.ca_bundle = ca_bundle
        self.config = kserve_folder(toolchain.find()) / "config"

    def install(self, llmisvc_port: int) -> None:
        """CRDs, configuration, runtimes and presets. No webhook is registered yet, so nobody is asked about them."""
        definitions = self._documents("crd/full") + self._documents("crd/full/llmisvc")
        for definition in definitions:
            if definition["spec"]["names"]["plural"] in LLM_KINDS:
                definition["spec"]["conversion"] = self._conversion(llmisvc_port)
        self.cluster.apply(definitions)
        for definition in definitions:
            self._until_served(definition["spec"])
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        folders = ("runtimes", "llmisvcconfig")
        documents = [d for folder in folders for d in self._documents(folder)]
        self.cluster.apply([self._configuration(), *self._storage_containers(), *documents])

    def register_manager(self, port: int) -> None:
        """The webhooks of `cmd/manager`: defaults, validation, and the pod mutator that adds the pull container."""
        self._register("webhook/manifests.yaml", port)

    def register_llmisvc(self, port: int) -> None:
        """The webhooks of `cmd/llmisvc`."""
        self._register("webhook/llmisvc/manifests.yaml", port)

    def _register(self, file: str, port: int) -> None:
        self.cluster.apply(self.cluster.webhook_by_url(self._documents(file), port, self.ca_bundle))

    def _documents(self, path: str) -> list[Document]:
        """The objects in a file, or in a folder with a kustomization: raw, its files lack images and namespaces."""
        source = self.config / path
        text = source.read_text() if source.is_file() else self.cluster.kubectl("kustomize", str(source))
        # The CRDs are 2 MB of YAML each: half a minute in pure Python.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [document for document in yaml.load_all(text, loader) if document]

    def _configuration(self) -> Document:
        """The shipped ConfigMap, in Standard mode, with no ingress to make, and with the release's own downloader."""
        (config,) = self._documents("configmap/inferenceservice.yaml")
        config["metadata"]["namespace"] = NAMESPACE
        data = config["data"]
        data.pop("_example", None)
        data["deploy"] = json.dumps({"defaultDeploymentMode": "Standard"})
        ingress = json.loads(data["ingress"]) | {"disableIstioVirtualHost": True, "disableIngressCreation": True}
        data["ingress"] = json.dumps(ingress)
        # In the repository it is `latest`; a release has its own tag.
        initializer = json.loads(data["storageInitializer"]) | {"image": _INITIALIZER}
        data["storageInitializer"] = json.dumps(initializer)
        return config

    def _storage_containers(self) -> list[Document]:
        """As shipped, with the image that a release puts in its place."""
        found = self._documents("storagecontainers")
        for item in found:
            item["spec"]["container"]["image"] = _INITIALIZER
        return found

    def _conversion(self, port: int) -> Document:
        """v1alpha1 and v1alpha2 of the LLM kinds are converted by their manager."""
        client = {"url": conversion_url(port), "caBundle": self.ca_bundle}
        return {
            "strategy": "Webhook",
            "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]},
        }

    def _until_served(self, spec: Document) -> None:
        """Until all versions of a CRD can be used.

        Not `kubectl wait`, which fails on a CRD that has no conditions yet; nor a GET of the CRD, which is 1 MB and
        slows down what it waits for.
        """

        def served() -> bool:
            for version in spec["versions"]:
                path = f"/apis/{spec['group']}/{version['name']}"
                found = json.loads(self.cluster.kubectl("get", f"--raw={path}"))
                if version["served"] and spec["names"]["plural"] not in {r["name"] for r in found["resources"]}:
                    return False
            return True

        self.cluster.until(served, 120, f"{DEFINITION} {spec['names']['plural']} is served", pause=0.3)


def conversion_url(port: int) -> str:
    """Where llmisvc converts between the versions of its kinds."""
    return f"https://{HOST}:{port}/convert"


def serving_certificates(folder: Path) -> Path:
    """Where a KServe manager looks for tls.crt and tls.key when TMPDIR is `folder`: it has no flag for that."""
    return folder / "k8s-webhook-server" / "serving-certs"
