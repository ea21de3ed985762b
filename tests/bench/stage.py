"""What the benchmark plays on: a real control plane with KServe, our webhook as it is deployed, and real reviews."""

from __future__ import annotations

import asyncio
import base64
import http.client
import itertools
import json
import random
import secrets
import ssl
import string
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from aiohttp import web

from pullsizer.model import ModelFacts, Source
from pullsizer.modelpull import Measurement, ModelPull, ServiceRef, model_status
from pullsizer.names import ACCEPTED_CONFIGMAP, GROUP, INJECT, ISVC_LABEL, LEAF_SECRET, POLICY_KEY, STORAGE_INITIALIZER
from tests.bench.load import Connection, LoadError, body_of, request
from tests.controlplane import ControlPlane
from tests.controlplane.cluster import Document
from tests.controlplane.ports import HOST, listens

NAMESPACE: Final = "bench"
SYSTEM: Final = "pullsizer-system"
SERVICE: Final = "classifier"
URI: Final = "hf://acme/classifier"
FACTS: Final = ModelFacts(
    bytes=16_060_556_376, files=17, largest=4_976_698_672, revision="5206a32e0bd3067aef1ce90f5528"
)

MODES: Final = ("none", "kserve", "both")
"""Of making a pod: no webhook is called for it; KServe's; KServe's, then ours."""

DEPLOY: Final = Path(__file__).parents[2] / "deploy" / "base"
MANIFESTS: Final = ("namespace.yaml", "crd.yaml", "service-accounts.yaml", "rbac-webhook.yaml")
WEBHOOK: Final = ("-m", "pullsizer", "webhook")
_OURS: Final = ("nothing", "webhook")
_TOKEN_VOLUME: Final = b"kube-api-access-"
_SUFFIX: Final = 5
_REPLICAS: Final = 64
_OTHERS: Final = 2048
"""More than our webhook remembers answers."""


class Stage:
    """The plane with all that is measured; `prepare` it first."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self.port, self._metrics_port, self._nothing_port = (plane.free_port() for _ in range(3))
        self.tls = ssl.create_default_context(cafile=str(plane.ca))
        self._pods = f"{plane.server}/api/v1/namespaces/{NAMESPACE}/pods"
        self._made: dict[str, bytes] = {}
        self.bare: list[bytes] = []
        """Reviews as KServe's webhook gets them."""
        self.injected: list[bytes] = []
        """The same as ours gets them, with KServe's container: replicas, of which it has answered one before."""
        self.others: list[bytes] = []
        """As many as it takes that it has answered none of them before, each of another service."""
        self.decided = ""
        """The memory limit that our webhook is to give."""

    async def prepare(self) -> None:
        """Start what is to be measured, and record what the API server really sends."""
        self._install()
        self._start()
        template = self._service()
        labels = template["metadata"]["labels"]
        without = {name: value for name, value in labels.items() if name != ISVC_LABEL}
        # Our opt-out keeps the API server from calling us, and KServe's webhook does not heed it.
        for mode, chosen in zip(MODES, (without, {**labels, INJECT: "disabled"}, labels), strict=True):
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "generateName": f"{mode}-",
                    "labels": chosen,
                    "annotations": template["metadata"]["annotations"],
                },
                "spec": {**template["spec"], "schedulerName": "none"},
            }
            self._made[mode] = request("POST", self._pods, orjson.dumps(pod))
        await self._record()
        self._register()
        await self._until_called()

    # -- what is asked -------------------------------------------------------------------------------------------------

    def targets(self) -> dict[str, tuple[str, Iterator[bytes]]]:
        """Name → where, and the requests, without end: the last of all is followed by the first."""
        places = {
            "ours": (f"https://{HOST}:{self.port}", self.injected),
            "others": (f"https://{HOST}:{self.port}", self.others),
            "nothing": (f"https://{HOST}:{self._nothing_port}", self.injected),
            "kserve": (self._plane.kserve_url, self.bare),
        }
        return {
            name: (url, itertools.cycle([request("POST", f"{url}/mutate-pods", body) for body in bodies]))
            for name, (url, bodies) in places.items()
        }

    async def to_api_server(self) -> Connection:
        tls = ssl.create_default_context(cafile=str(self._plane.ca))
        tls.load_cert_chain(*self._plane.pki.client("bench", user="bench", group="system:masters"))
        return await Connection.open(self._pods, tls)

    async def make_pod(self, connection: Connection, mode: str) -> tuple[float, Document]:
        """Make a pod and delete it; how many seconds the making took, and the pod."""
        begin = time.perf_counter()
        answer = await connection.ask(self._made[mode])
        taken = time.perf_counter() - begin
        pod: Document = orjson.loads(body_of(answer))
        options = orjson.dumps({"gracePeriodSeconds": 0})
        body_of(await connection.ask(request("DELETE", f"{self._pods}/{pod['metadata']['name']}", options)))
        return taken, pod

    def cpu_seconds(self, target: str) -> float:
        """That a target's process has used so far, all threads of it."""
        process = {"nothing": "nothing", "kserve": "kserve-manager"}.get(target, "webhook")
        tasks = Path(f"/proc/{self._plane.processes.get(process).popen.pid}/task")
        return sum(int(file.read_text().split()[0]) for file in tasks.glob("*/schedstat")) / 1e9

    def calls(self) -> int:
        """How many reviews of pods our webhook has answered."""
        name = 'pullsizer_admission_duration_seconds_count{path="/mutate-pods"} '
        lines = self._get("/metrics").decode().splitlines()
        return int(next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0))

    def outcomes(self) -> dict[str, float]:
        """What came of the pods that our webhook has seen."""
        name = "pullsizer_admission_pods_total{outcome="
        found = (line for line in self._get("/metrics").decode().splitlines() if line.startswith(name))
        return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in found if not line.endswith(" 0.0")}

    # -- setting it up -------------------------------------------------------------------------------------------------

    def _install(self) -> None:
        plane = self._plane
        manifests = [
            document
            for name in MANIFESTS
            for document in yaml.safe_load_all((DEPLOY / name).read_text())
            if document is not None
        ]
        # The CRD first: what is of its kind can be made only when it is served.
        plane.apply(manifests)
        certificate, key = (path.read_bytes() for path in plane.issue_server_certificate("pullsizer"))
        plane.apply(
            [
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "type": "kubernetes.io/tls",
                    "metadata": {"name": LEAF_SECRET, "namespace": SYSTEM},
                    "data": {
                        "tls.crt": base64.b64encode(certificate).decode(),
                        "tls.key": base64.b64encode(key).decode(),
                    },
                },
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": ACCEPTED_CONFIGMAP, "namespace": SYSTEM},
                    "data": {POLICY_KEY: (DEPLOY / "config.yaml").read_text()},
                },
            ]
        )
        plane.until(lambda: plane.get("modelpulls", namespace=NAMESPACE), 20, "ModelPulls are served")
        model_pull = ModelPull(
            NAMESPACE, ServiceRef("InferenceService", SERVICE, "00000000-0000-0000-0000-000000000001"), "predictor",
            (Source(URI),),
        )  # fmt: skip
        item = model_pull.to_object()
        del item["metadata"]["ownerReferences"]  # to a service that is not there yet: it would be collected
        plane.apply(item)
        status = {"status": {"models": [model_status(Source(URI), Measurement(FACTS, time.time()))]}}
        arguments = (
            f"--namespace={NAMESPACE}",
            "--subresource=status",
            "--type=merge",
            f"--patch={json.dumps(status)}",
        )
        plane.kubectl("patch", f"modelpulls.{GROUP}", model_pull.name, *arguments)

    def _start(self) -> None:
        plane = self._plane
        nothing = Path(__file__).with_name("nothing.py")
        files = map(str, plane.issue_server_certificate("nothing"))
        plane.spawn("nothing", [sys.executable, str(nothing), str(self._nothing_port), *files])
        plane.processes.get("nothing").ready = lambda: listens(self._nothing_port)
        flags = {
            "kubeconfig": plane.token_kubeconfig(SYSTEM, "pullsizer-webhook"),
            "host": HOST,
            "port": self.port,
            "metrics-port": self._metrics_port,
            "drain-seconds": 0,
        }
        plane.spawn("webhook", [sys.executable, *WEBHOOK, *(f"--{name}={value}" for name, value in flags.items())])
        plane.processes.get("webhook").ready = lambda: self._get("/readyz") == b"ok"
        self._wait()

    def _wait(self) -> None:
        for name in _OURS:
            self._plane.processes.wait_ready(self._plane.processes.get(name))

    def restart(self) -> None:
        """New processes of those in Python: where one's code and data happen to lie makes up to a third."""
        for name in _OURS:
            self._plane.processes.restart(name)
        self._wait()

    def _service(self) -> Document:
        """The pod template that KServe makes of a service."""
        predictor = {"model": {"modelFormat": {"name": "huggingface"}, "storageUri": URI}}
        service = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {"predictor": predictor},
        }
        self._plane.until(lambda: self._plane.get("serviceaccount", "default", NAMESPACE), 20, "the service account")
        self._plane.apply(service)
        template: Document = self._plane.until(
            lambda: self._plane.get("deployment", f"{SERVICE}-predictor", NAMESPACE), 30, "the service's Deployment"
        )["spec"]["template"]
        return template

    async def _record(self) -> None:
        """Listen before and after KServe's webhook to what the API server sends."""
        heard: dict[str, bytes] = {}

        async def hear(http: web.Request) -> web.Response:
            body = await http.read()
            heard.setdefault(http.match_info["place"], body)
            answer = {"uid": orjson.loads(body)["request"]["uid"], "allowed": True}
            review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
            return web.json_response(review)

        app = web.Application()
        app.router.add_post("/{place}", hear)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*self._plane.issue_server_certificate("recorder"))
        runner = web.AppRunner(app)
        await runner.setup()
        port = self._plane.free_port()
        await web.TCPSite(runner, HOST, port, ssl_context=tls).start()
        # The API server calls configurations in the order of their names.
        places = {"before": "aaa", "after": "zzz"}
        self._plane.apply([self._recorder(name, f"https://{HOST}:{port}/{place}") for place, name in places.items()])
        connection = await self.to_api_server()
        deadline = time.monotonic() + 20
        while len(heard) < len(places):
            if time.monotonic() > deadline:
                raise LoadError("the API server did not call the recorder")
            heard.clear()
            await self.make_pod(connection, "both")
        connection.close()
        for name in places.values():
            self._plane.kubectl("delete", "mutatingwebhookconfiguration", f"{name}.bench.{GROUP}")
        await runner.cleanup()
        self.bare, self.injected = replicas(heard["before"], _REPLICAS), replicas(heard["after"], _REPLICAS)
        label = f"isvc.{SERVICE}-predictor".encode()
        self.others = [
            body.replace(label, f"isvc.{number:010}-predictor".encode())
            for number, body in enumerate(replicas(heard["after"], _OTHERS))
        ]
        if len(set(self.others)) != _OTHERS or label in self.others[0]:
            raise LoadError(f"the pods of a service have no label {label.decode()} by which they could differ")

    def _recorder(self, name: str, url: str) -> Document:
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": f"{name}.bench.{GROUP}"},
            "webhooks": [
                {
                    "name": f"{name}.bench.{GROUP}",
                    "clientConfig": {"url": url, "caBundle": self._plane.pki.ca_bundle},
                    "rules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Ignore",
                }
            ],
        }

    def _register(self) -> None:
        """Ours, as shipped but for the address."""
        documents = [
            item
            for item in yaml.safe_load_all((DEPLOY / "admission.yaml").read_text())
            if item["kind"] == "MutatingWebhookConfiguration"
        ]
        self._plane.apply(self._plane.webhook_by_url(documents, self.port, self._plane.pki.ca_bundle))

    async def _until_called(self) -> None:
        """A configuration takes effect a moment after it is written."""
        connection = await self.to_api_server()
        deadline = time.monotonic() + 20
        while (limit := self.memory_limit((await self.make_pod(connection, "both"))[1])) == KSERVE_LIMIT:
            if time.monotonic() > deadline:
                raise LoadError("the API server does not call our webhook")
            await asyncio.sleep(0.05)
        connection.close()
        self.decided = str(limit)

    @staticmethod
    def memory_limit(pod: Document) -> str | None:
        """What a pod's pull container has; None where there is none."""
        for container in pod["spec"].get("initContainers", ()):
            if container["name"] == STORAGE_INITIALIZER:
                return str(container["resources"]["limits"]["memory"])
        return None

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(HOST, self._metrics_port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        except OSError:
            return b""
        finally:
            connection.close()


KSERVE_LIMIT: Final = "1Gi"


def replicas(body: bytes, count: int) -> list[bytes]:
    """The review of one pod as those of its replicas: other uids, other random names of the token's volume."""
    review: dict[str, Any] = orjson.loads(body)
    uid = review["request"]["uid"].encode()
    at = body.find(_TOKEN_VOLUME)
    volume = body[at : at + len(_TOKEN_VOLUME) + _SUFFIX]
    return [body.replace(uid, _uid()).replace(volume, _TOKEN_VOLUME + _random_suffix()) for _ in range(count)]


def _uid() -> bytes:
    text = secrets.token_hex(16)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])).encode()


def _random_suffix() -> bytes:
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=_SUFFIX)).encode()


def limits_in_patch(patch: Sequence[Document]) -> set[str]:
    """Memory limits that a patch sets on init containers."""
    found = set()
    for operation in patch:
        value = operation.get("value")
        values = value if isinstance(value, list) else [value]
        for item in values:
            if not isinstance(item, dict):
                continue
            block = item.get("resources", item)
            if "memory" in block.get("limits", {}):
                found.add(str(block["limits"]["memory"]))
    return found
