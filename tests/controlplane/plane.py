"""The whole control plane: on top of etcd and the API server the controllers, the scheduler, fake nodes and KServe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, Self

from . import binaries, nodes, ports, snapshot
from .apiserver import ApiServer
from .errors import ControlPlaneError
from .kserve import NAMESPACE, KServe, serving_certificates
from .ports import HOST

PARTS: Final = ("scheduler", "kwok", "kserve", "llmisvc")
"""What can be left out. Always there: etcd, kube-apiserver, kube-controller-manager."""

_PROGRAMS: Final = {
    "scheduler": "kube-scheduler",
    "kwok": "kwok",
    "kserve": "kserve-manager",
    "llmisvc": "kserve-llmisvc",
}
_ALWAYS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")

# What tests need and no more. Not the autoscaler: KServe makes an HPA for each service, and without a metrics server
# its Events drown all others. Not the node lifecycle: fake nodes have no heartbeat.
CONTROLLERS: Final = (
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "pod-garbage-collector-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "resourcequota-controller",
    "disruption-controller",
    "persistentvolume-binder-controller",
)


class ControlPlane(ApiServer):
    """A real Kubernetes with the real KServe, as child processes on 127.0.0.1.

    with ControlPlane.create() as plane:
        plane.kubectl("get", "nodes")
    """

    def __init__(self, folder: Path | None = None, parts: Collection[str] = PARTS) -> None:
        """See `create`."""
        if unknown := set(parts) - set(PARTS):
            raise ControlPlaneError(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
        super().__init__(folder)
        self.parts = tuple(parts)
        self.kserve_url = ""
        """KServe's own webhook server; empty without that part."""
        self.llmisvc_url = ""
        # Now and not at the start: it holds the CA, of which a caller may want a certificate before.
        try:
            snapshot.copy_to(self.folder)
        except BaseException:
            self.stop()
            raise

    @classmethod
    def create(cls, folder: Path | None = None, parts: Collection[str] = PARTS) -> Self:
        """One that is not started yet. What is missing is built first: minutes, once, with lines of progress.

        The folder holds all of its files and goes at the end; by default it is a new temporary one.
        """
        binaries.ensure([*_ALWAYS, *(_PROGRAMS[part] for part in parts if part in _PROGRAMS)])
        snapshot.folder()
        return cls(folder, parts)

    def _start(self) -> None:
        super()._start()
        self._start_part("kube-controller-manager", *self._kube_controller_manager())
        starters = {
            "scheduler": self._start_scheduler,
            "kwok": self._start_kwok,
            "kserve": self._start_kserve,
            "llmisvc": self._start_llmisvc,
        }
        for part, start in starters.items():
            if part in self.parts:
                start()

    def _prepare_etcd(self, etcd: str) -> None:
        self._conversion_port = ports.free_port()
        snapshot.set_conversion_port(etcd, self._conversion_port)

    def add_node(self, name: str, capacity: Mapping[str, str] = nodes.CAPACITY, **labels: str) -> None:
        """One more fake node; there is `fake-0` from the start."""
        nodes.add_node(self, name, capacity, **labels)

    def helm(self, *args: str) -> str:
        """What helm prints, as administrator; its own files go into the plane's folder."""
        homes = {f"HELM_{kind}_HOME": str(self.folder / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        command = [str(self.binary("helm")), *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment | homes)
        if done.returncode:
            raise ControlPlaneError(f"helm {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def _kube_controller_manager(self) -> tuple[list[str], Callable[[], bool]]:
        flags = [
            *self._kubernetes_flags("kube-controller-manager"),
            f"--service-account-private-key-file={self.pki.service_account_key}",
            f"--root-ca-file={self.ca}",
            f"--controllers={','.join(CONTROLLERS)}",
            "--use-service-account-credentials=true",  # each controller by its own name, with its own rights
        ]
        # The first thing its service-account controller does; pods are refused before.
        return flags, lambda: bool(self.kubectl("get", "serviceaccount", "default", "--output=name", check=False))

    def _kubernetes_flags(self, name: str) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig_of(f'system:{name}')}",
            "--leader-elect=false",
            f"--bind-address={HOST}",
            f"--secure-port={ports.free_port()}",
            f"--cert-dir={self.folder / name}",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--profiling=false",
        ]

    def _start_scheduler(self) -> None:
        name = "kube-scheduler"
        serving = "Serving securely"
        self._start_part(name, self._kubernetes_flags(name), lambda: serving in self.processes.tail(name, 200))

    def _start_kwok(self) -> None:
        server = f"{HOST}:{ports.free_port()}"
        flags = [
            f"--kubeconfig={self.kubeconfig_of('kwok')}",
            "--manage-all-nodes=true",
            "--node-lease-duration-seconds=0",
            f"--server-address={server}",
            "--cidr=10.1.0.0/16",
            f"--node-ip={HOST}",
            *(f"--config={stage}" for stage in sorted(nodes.STAGES.glob("*.yaml"))),
        ]
        self._start_part("kwok", flags, lambda: self.answers(f"http://{server}/healthz"))
        self.add_node("fake-0")

    def _start_kserve(self) -> None:
        port = ports.free_port()
        self.kserve_url = self._start_manager("kserve-manager", port)
        KServe(self, self.pki.ca_bundle).register_manager(port)

    def _start_llmisvc(self) -> None:
        port = self._conversion_port
        self.llmisvc_url = self._start_manager("kserve-llmisvc", port, "--metrics-secure=false")
        KServe(self, self.pki.ca_bundle).register_llmisvc(port)

    def _start_manager(self, name: str, port: int, *flags: str) -> str:
        health = f"{HOST}:{ports.free_port()}"
        temporary = self.folder / name
        self.pki.server("tls", folder=serving_certificates(temporary))
        self._start_part(
            name,
            [f"--webhook-port={port}", "--metrics-addr=0", f"--health-probe-addr={health}", *flags],
            # The readyz of llmisvc proves nothing about its webhook server.
            lambda: self.answers(f"http://{health}/readyz") and ports.listens(port),
            KUBECONFIG=str(self.kubeconfig_of(f"system:serviceaccount:{NAMESPACE}:{name}")),
            POD_NAMESPACE=NAMESPACE,
            WEBHOOK_HOST=HOST,
            TMPDIR=str(temporary),
        )
        return f"https://{HOST}:{port}"

    def facts(self) -> str:
        """What another process needs to use this plane, as JSON."""
        return json.dumps(
            {
                "kubeconfig": str(self.kubeconfig),
                "kubectl": str(self.kubectl_path),
                "server": self.server,
                "ca": str(self.ca),
                "kserve_url": self.kserve_url,
                "llmisvc_url": self.llmisvc_url,
                "audit_log": str(self.audit_log),
                "timings": {name: round(seconds, 2) for name, seconds in self.timings.items()},
                "pids": {name: process.popen.pid for name, process in self.processes.all().items()},
            },
            indent=1,
        )
