"""etcd and an API server: the least that is a Kubernetes, and the ground on which plane.py builds."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

from . import binaries, ports
from .cluster import Cluster, write_kubeconfig
from .errors import ControlPlaneError
from .pki import LOCAL, Pki
from .ports import HOST
from .processes import Process, Processes

AUDIT_POLICY: Final = Path(__file__).with_name("audit-policy.yaml")
ISSUER: Final = "https://kubernetes.default.svc"
"""Of service-account tokens: constant, so that what etcd holds stays valid in a copy."""


class ApiServer(Cluster):
    """etcd and kube-apiserver as child processes, in a folder of their own that goes with them."""

    def __init__(self, folder: Path | None = None) -> None:
        """Makes the folder, or takes an empty one; nothing runs yet."""
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="pullsizer-controlplane-"))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ControlPlaneError(
                f"{folder} is not empty, and a control plane removes its folder at the end: name another"
            )
        self.folder = folder.resolve()
        self.processes = Processes(self.folder)
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubectl_path = binaries.path("kubectl")
        self.audit_log = self.folder / "audit.log"
        self.timings: dict[str, float] = {}
        self._server = ""
        self._own: list[str] = []

    @property
    def pki(self) -> Pki:
        """The CA of this control plane."""
        return Pki(self.folder / "pki")

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._server

    @property
    def ca(self) -> Path:
        """The CA that signed the API server's certificate, and all others here."""
        return self.pki.ca

    @property
    def environment(self) -> dict[str, str]:
        """Marks what is started so as belonging to this control plane."""
        return self.processes.environment | {"KUBECONFIG": str(self.kubeconfig)}

    # Life

    def start(self) -> Self:
        """Starts the processes and waits for each; on failure nothing is left, and the error holds the end of a log."""
        begin = time.monotonic()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        self.timings["total"] = time.monotonic() - begin
        return self

    def _start(self) -> None:
        etcd = f"http://{HOST}:{ports.free_port()}"
        self._start_part("etcd", *self._etcd(etcd))
        self._prepare_etcd(etcd)
        # A third less memory, and not slower to start.
        self._start_part("kube-apiserver", *self._kube_apiserver(etcd), GOGC="50")

    def _prepare_etcd(self, etcd: str) -> None:
        """For a subclass that starts from data: the last moment to change it under the API server."""

    def stop(self) -> None:
        """Ends everything and removes the folder; first the logs are copied to PULLSIZER_TEST_LOGS, if that is set."""
        if (kept := os.environ.get("PULLSIZER_TEST_LOGS")) and self.folder.exists():
            target = Path(kept) / self.folder.name
            shutil.copytree(self.processes.logs, target, dirs_exist_ok=True)
            if self.audit_log.exists():
                shutil.copy(self.audit_log, target)
        self.processes.close(politely=self._own)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Processes

    @staticmethod
    def binary(name: str) -> Path:
        """A program of programs.py, built now if need be."""
        return binaries.path(name)

    def spawn(self, name: str, argv: list[str], **environment: str) -> subprocess.Popen[bytes]:
        """Starts a process of the caller's that lives and dies with the plane; its output is in logs/NAME.log.

        At the end of the plane it gets SIGTERM and time to finish.
        """
        process = self.processes.start(name, argv, environment)
        self._own.append(name)
        return process.popen

    def stop_process(self, name: str, sig: signal.Signals = signal.SIGTERM) -> int:
        """Ends a process, by SIGKILL when it does not heed this signal; returns its exit status."""
        return self.processes.stop(name, sig)

    def restart_part(self, name: str) -> None:
        """Kills a process and starts it again with the same arguments, so on the same ports; waits until it serves."""
        self.processes.wait_ready(self.processes.restart(name))

    @staticmethod
    def free_port() -> int:
        """A port on 127.0.0.1 for a server of the caller's."""
        return ports.free_port()

    def issue_server_certificate(self, name: str, hosts: tuple[str, ...] = LOCAL) -> tuple[Path, Path]:
        """A certificate and its key, of the plane's CA."""
        return self.pki.server(name, hosts=hosts, folder=self.folder / "certificates")

    def audit_events(self) -> Iterator[dict[str, Any]]:
        """The audit log so far.

        A request's line is written as it is answered, so it may come a moment after the answer.
        """
        with self.audit_log.open() as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Keeps how long it took."""
        begin = time.monotonic()
        yield
        self.timings[name] = time.monotonic() - begin

    def _start_part(self, name: str, argv: list[str], ready: Callable[[], bool], **environment: str) -> None:
        with self.timed(name):
            self.processes.wait_ready(self._spawn_part(name, argv, ready, **environment))

    def _spawn_part(self, name: str, argv: list[str], ready: Callable[[], bool], **environment: str) -> Process:
        return self.processes.start(name, [str(self.binary(name)), *argv], environment, ready)

    def kubeconfig_of(self, user: str) -> Path:
        """A kubeconfig of another name with all rights, so that the audit log tells the parts from the tests."""
        certificate = self.pki.client(user.replace(":", "-"), user=user, group="system:masters")
        return self._write_kubeconfig(self.folder / "kubeconfigs" / certificate[0].stem, certificate)

    def _write_kubeconfig(self, path: Path, certificate: tuple[Path, Path]) -> Path:
        crt, key = (base64.b64encode(file.read_bytes()).decode() for file in certificate)
        cluster = {"server": self._server, "certificate-authority-data": self.pki.ca_bundle}
        return write_kubeconfig(path, cluster, {"client-certificate-data": crt, "client-key-data": key})

    # The two parts

    def _etcd(self, url: str) -> tuple[list[str], Callable[[], bool]]:
        peer = f"http://{HOST}:{ports.free_port()}"
        flags = [
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync=true",  # nothing here has to survive the machine
            "--log-level=warn",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]
        return flags, lambda: self.answers(f"{url}/health")

    def _kube_apiserver(self, etcd: str) -> tuple[list[str], Callable[[], bool]]:
        port = ports.free_port()
        self._server = f"https://{HOST}:{port}"
        pki = self.pki
        crt, key = pki.server("kube-apiserver", hosts=(*LOCAL, "kubernetes.default.svc"))
        self._admin = pki.client("admin", user="admin", group="system:masters")
        self._write_kubeconfig(self.kubeconfig, self._admin)
        flags = [
            f"--etcd-servers={etcd}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            f"--advertise-address={HOST}",
            "--endpoint-reconciler-type=none",  # it refuses the loopback address, every ten seconds
            f"--tls-cert-file={crt}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={pki.ca}",
            f"--cert-dir={self.folder / 'kube-apiserver'}",
            "--authorization-mode=RBAC",
            "--anonymous-auth=false",
            "--allow-privileged=true",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={pki.service_account_key}",
            f"--service-account-signing-key-file={pki.service_account_key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--enable-priority-and-fairness=false",
            "--profiling=false",
            f"--audit-policy-file={AUDIT_POLICY}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",  # written as a request is answered, so that a test can read it at once
        ]
        return flags, lambda: self.answers(f"{self._server}/readyz")

    def answers(self, url: str) -> bool:
        """Whether a GET is answered by 200 at once."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if url.startswith(self._server or "-"):
            context.load_cert_chain(*self._admin)
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2, context=context) as reply:
            return bool(reply.status == 200)
        return False
