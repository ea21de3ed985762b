"""The commands that run in the cluster: each flag is a field of the settings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from pullsizer import cli
from pullsizer.cli import logs, roles
from pullsizer.settings import ControllerSettings, Settings, WebhookSettings


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The settings with which a role would have been run."""
    found: list[Settings] = []
    for name in ("POD_NAMESPACE", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)

    def run(settings: Settings) -> int:
        found.append(settings)
        return 0

    def parse(*argv: str, **environ: str) -> Settings:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(roles, "run", run)
        assert cli.main(argv) == 0
        return found.pop()

    return parse


@pytest.mark.parametrize(("role", "settings"), [("webhook", WebhookSettings), ("controller", ControllerSettings)])
def test_without_flags_settings_are_the_defaults(parsed: Any, role: str, settings: type[Settings]) -> None:
    assert parsed(role) == settings()


def test_every_field_is_a_flag(parsed: Any) -> None:
    assert parsed(
        "controller",
        "--namespace=a", "--kserve-namespace=b", "--kubeconfig=c", "--host=::1", "--metrics-port=0",
        "--log-level=debug", "--identity=d", "--measure-concurrency=3", "--webhook-hosts=127.0.0.1, e",
    ) == ControllerSettings(
        namespace="a", kserve_namespace="b", kubeconfig=Path("c"), host="::1", metrics_port=0, log_level="DEBUG",
        identity="d", measure_concurrency=3, webhook_hosts=("127.0.0.1", "e"),
    )  # fmt: skip
    assert parsed("webhook", "--port=1", "--drain-seconds=0.5") == WebhookSettings(port=1, drain_seconds=0.5)


def test_the_environment_is_the_default(parsed: Any) -> None:
    assert parsed("webhook", POD_NAMESPACE="mine", KUBECONFIG="k").namespace == "mine"
    assert parsed("webhook", "--namespace=other", POD_NAMESPACE="mine").namespace == "other"
    assert parsed("webhook", KUBECONFIG="k").kubeconfig == Path("k")
    assert parsed("webhook", POD_NAMESPACE="").namespace == WebhookSettings().namespace


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["webhook", "--port=70000"], "--port"),
        (["controller", "--measure-concurrency=many"], "--measure-concurrency"),
        (["webhook", "--log-level=loud"], "--log-level"),
        (["webhook", "--identity=x"], "--identity"),
    ],
)
def test_a_wrong_flag_is_named(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert not printed.out


def test_without_a_cluster_it_ends_with_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(logs, "configure", lambda _: None)
    assert cli.main(["controller", f"--kubeconfig={tmp_path / 'none'}"]) == 1
    assert "pullsizer: no way to reach a cluster" in capsys.readouterr().err


def test_a_log_line_is_one_line_whatever_is_in_it() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "seen name=%s", "args": ("a\nb",)})
    record.namespace = "models"
    text = logs.Formatter().format(record)
    assert text.endswith("INFO x seen name=a\\nb namespace=models")
    assert "\n" not in text
