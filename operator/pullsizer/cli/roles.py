"""`pullsizer webhook` and `pullsizer controller`: each flag is a field of the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import typer
from pydantic import ValidationError

from pullsizer.settings import ControllerSettings, Settings, WebhookSettings

SettingsT = TypeVar("SettingsT", bound=Settings)
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_WEBHOOK: Final = WebhookSettings()
_CONTROLLER: Final = ControllerSettings()

Namespace = Annotated[
    str,
    typer.Option(envvar="POD_NAMESPACE", help="Where Pullsizer itself lives: its ConfigMaps, Secrets and Lease."),
]
KserveNamespace = Annotated[str, typer.Option(help="Where KServe's ConfigMap inferenceservice-config is.")]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        envvar="KUBECONFIG", help="How to reach the cluster; else the pod's own ServiceAccount.", show_default=False
    ),
]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
MetricsPort = Annotated[int, typer.Option(help="Plain HTTP for /metrics, /livez and /readyz; 0: any free one.")]
LogLevel = Annotated[Level, typer.Option(case_sensitive=False, help="From which level on lines are logged.")]
Port = Annotated[int, typer.Option(help="TLS, for the API server; 0: any free one.")]
DrainSeconds = Annotated[float, typer.Option(help="How long new connections are still taken after SIGTERM.")]
Identity = Annotated[
    str,
    typer.Option(
        help="Name of this process in the Lease; else the host's name and the process id.", show_default=False
    ),
]
Concurrency = Annotated[int, typer.Option(help="Models measured at once.")]
WebhookHosts = Annotated[
    str,
    typer.Option(
        metavar="HOST,HOST", help="Further names or addresses in the webhook's certificate.", show_default=False
    ),
]


def webhook(
    *,
    namespace: Namespace = _WEBHOOK.namespace,
    kserve_namespace: KserveNamespace = _WEBHOOK.kserve_namespace,
    kubeconfig: Kubeconfig = None,
    host: Host = _WEBHOOK.host,
    metrics_port: MetricsPort = _WEBHOOK.metrics_port,
    log_level: LogLevel = "INFO",
    port: Port = _WEBHOOK.port,
    drain_seconds: DrainSeconds = _WEBHOOK.drain_seconds,
) -> int:
    """Answer the API server's admission reviews.

    Over TLS, until SIGTERM. Needs no leader: run two or more. The policy is not given here: it is in ConfigMap
    pullsizer-config.
    """
    return run(settings(WebhookSettings, locals()))


def controller(
    *,
    namespace: Namespace = _CONTROLLER.namespace,
    kserve_namespace: KserveNamespace = _CONTROLLER.kserve_namespace,
    kubeconfig: Kubeconfig = None,
    host: Host = _CONTROLLER.host,
    metrics_port: MetricsPort = _CONTROLLER.metrics_port,
    log_level: LogLevel = "INFO",
    identity: Identity = _CONTROLLER.identity,
    measure_concurrency: Concurrency = _CONTROLLER.measure_concurrency,
    webhook_hosts: WebhookHosts = "",
) -> int:
    """Measure models and keep ModelPulls.

    It also accepts the policy and renews certificates, until SIGTERM. One works at a time; others stand by. The policy
    is not given here: it is in ConfigMap pullsizer-config.
    """
    hosts = tuple(part.strip() for part in webhook_hosts.split(",") if part.strip())
    return run(settings(ControllerSettings, {**locals(), "webhook_hosts": hosts}))


def settings(model: type[SettingsT], values: dict[str, Any]) -> SettingsT:
    """The settings that flags make.

    :raises typer.BadParameter: naming each flag with a wrong value
    """
    try:
        return model.model_validate({name: value for name, value in values.items() if name in model.model_fields})
    except ValidationError as error:
        problems = (f"--{'-'.join(str(p['loc'][0]).split('_'))}: {p['msg']}" for p in error.errors())
        raise typer.BadParameter("; ".join(problems)) from None


def run(found: Settings) -> int:
    """A role, until its end; the exit code."""
    # Imported late: each role without what only the other one needs, and --help without any of it.
    import uvloop  # noqa: PLC0415

    from pullsizer.cli import logs  # noqa: PLC0415

    logs.configure(found.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_role(found))


def _role(found: Settings) -> Coroutine[Any, Any, int]:
    if isinstance(found, WebhookSettings):
        from pullsizer.cli import webhook as role  # noqa: PLC0415

        return role.run(found)
    from pullsizer.cli import controller as other  # noqa: PLC0415

    assert isinstance(found, ControllerSettings)
    return other.run(found)
