"""What a process is told at its start, by flags and environment. The policy, which can change, is in `policy`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Common to both roles; each flag of the command line is one field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = "pullsizer-system"
    """Where Pullsizer itself lives: its ConfigMaps, Secrets and Lease."""
    kserve_namespace: str = "kserve"
    """Where KServe's ConfigMap `inferenceservice-config` is."""
    kubeconfig: Path | None = None
    """None: the pod's own ServiceAccount."""
    host: str = "0.0.0.0"
    """Address to listen on, for probes and metrics, and for the webhook."""
    metrics_port: int = Field(default=8080, ge=0, le=65535)
    """Plain HTTP, of the controller: /metrics, /livez, /readyz. 0: any free one."""
    log_level: str = "INFO"


class WebhookSettings(Settings):
    """Of `pullsizer webhook`."""

    port: int = Field(default=9443, ge=0, le=65535)
    """TLS. 0: any free one."""
    drain_seconds: float = Field(default=5, ge=0)
    """After SIGTERM new connections are still taken for so long: endpoints take a moment to be withdrawn."""


class ControllerSettings(Settings):
    """Of `pullsizer controller`."""

    identity: str = ""
    """Of this process in the Lease; the host's name where empty."""
    measure_concurrency: int = Field(default=64, ge=1, le=512)
    """Models measured at once: 200 new services against a Hub that answers in 300 ms are done in about a second."""
    webhook_hosts: tuple[str, ...] = ()
    """Further names in the leaf certificate, beside those of the Service."""
