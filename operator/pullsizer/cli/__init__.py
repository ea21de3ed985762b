"""The command line: `pullsizer webhook` and `pullsizer controller`. Each flag is a field of the settings."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from pullsizer import __version__
from pullsizer.cli import logs
from pullsizer.errors import PullsizerError
from pullsizer.settings import ControllerSettings, Settings, WebhookSettings

_HELP: Final = {
    "namespace": "where Pullsizer itself lives: its ConfigMaps, Secrets and Lease (default: $POD_NAMESPACE, "
    "else %(default)s)",
    "kserve_namespace": "where KServe's ConfigMap inferenceservice-config is (default: %(default)s)",
    "kubeconfig": "how to reach the cluster (default: $KUBECONFIG, else the pod's own ServiceAccount)",
    "host": "address to listen on (default: %(default)s)",
    "metrics_port": "plain HTTP for /metrics, /livez and /readyz; 0: any free one (default: %(default)s)",
    "log_level": "DEBUG, INFO, WARNING or ERROR (default: %(default)s)",
    "port": "TLS, for the API server; 0: any free one (default: %(default)s)",
    "drain_seconds": "how long new connections are still taken after SIGTERM (default: %(default)s)",
    "identity": "name of this process in the Lease (default: the host's name and the process id)",
    "measure_concurrency": "models measured at once (default: %(default)s)",
    "webhook_hosts": "further names or addresses in the webhook's certificate, with commas between them",
}
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = _parser(os.environ)
    arguments = vars(parser.parse_args(argv))
    command: argparse.ArgumentParser = arguments.pop("command")
    try:
        settings: Settings = arguments.pop("settings").model_validate(arguments)
    except ValidationError as error:
        problems = (f"--{'-'.join(str(p['loc'][0]).split('_'))}: {p['msg']}" for p in error.errors())
        command.error("; ".join(problems))
    logs.configure(settings.log_level)
    try:
        return _run(_role(settings))
    except PullsizerError as error:
        command.exit(1, f"pullsizer: {error}\n")


def _role(settings: Settings) -> Coroutine[Any, Any, int]:
    # Imported late: each role without what only the other one needs.
    if isinstance(settings, WebhookSettings):
        from pullsizer.cli import webhook  # noqa: PLC0415

        return webhook.run(settings)
    from pullsizer.cli import controller  # noqa: PLC0415

    assert isinstance(settings, ControllerSettings)
    return controller.run(settings)


def _run(role: Coroutine[Any, Any, int]) -> int:
    import uvloop  # noqa: PLC0415 - not needed for --help

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(role)


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pullsizer",
        description="Right-sizes the init containers that pull KServe's models.",
        epilog="Both commands run until SIGTERM. The policy is not given here: it is in ConfigMap pullsizer-config.",
    )
    parser.add_argument("--version", action="version", version=f"pullsizer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    roles: tuple[tuple[str, type[Settings], str, str], ...] = (
        (
            "webhook",
            WebhookSettings,
            "answer the API server's admission reviews",
            "Answers the API server's admission reviews over TLS. Needs no leader: run two or more.",
        ),
        (
            "controller",
            ControllerSettings,
            "measure models and keep ModelPulls",
            "Measures models, keeps ModelPulls, accepts the policy, renews certificates. One works at a time.",
        ),
    )
    for name, settings, short, long in roles:
        command = commands.add_parser(name, help=short, description=long)
        command.set_defaults(settings=settings, command=command)
        _flags(command, settings, environ)
    return parser


def _flags(command: argparse.ArgumentParser, settings: type[Settings], environ: Mapping[str, str]) -> None:
    given = {"namespace": environ.get("POD_NAMESPACE"), "kubeconfig": environ.get("KUBECONFIG")}
    for name, field in settings.model_fields.items():
        options: dict[str, Any] = {"default": given.get(name) or field.default, "help": _HELP[name]}
        if name == "log_level":
            options |= {"choices": _LEVELS, "type": str.upper, "metavar": "LEVEL"}
        elif name == "webhook_hosts":
            options |= {"type": _hosts, "metavar": "HOST,HOST"}
        command.add_argument(f"--{name.replace('_', '-')}", **options)


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
