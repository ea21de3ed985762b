from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pullsizer import cli
from pullsizer.cli import logs
from pullsizer.settings import ControllerSettings, Settings, WebhookSettings


def parsed(*argv: str, **environ: str) -> Settings:
    arguments = vars(cli._parser(environ).parse_args(argv))
    del arguments["command"]
    found: Settings = arguments.pop("settings").model_validate(arguments)
    return found


@pytest.mark.parametrize(("role", "settings"), [("webhook", WebhookSettings), ("controller", ControllerSettings)])
def test_without_flags_settings_are_the_defaults(role: str, settings: type[Settings]) -> None:
    assert parsed(role) == settings()


def test_every_field_is_a_flag() -> None:
    assert parsed(
        "controller",
        "--namespace=a", "--kserve-namespace=b", "--kubeconfig=c", "--host=::1", "--metrics-port=0",
        "--log-level=debug", "--identity=d", "--measure-concurrency=3", "--webhook-hosts=127.0.0.1, e",
    ) == ControllerSettings(
        namespace="a", kserve_namespace="b", kubeconfig=Path("c"), host="::1", metrics_port=0, log_level="DEBUG",
        identity="d", measure_concurrency=3, webhook_hosts=("127.0.0.1", "e"),
    )  # fmt: skip
    assert parsed("webhook", "--port=1", "--drain-seconds=0.5") == WebhookSettings(port=1, drain_seconds=0.5)


def test_the_pods_namespace_is_the_default() -> None:
    assert parsed("webhook", POD_NAMESPACE="mine").namespace == "mine"
    assert parsed("webhook", "--namespace=other", POD_NAMESPACE="mine").namespace == "other"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "required"),
        (["serve"], "webhook"),
        (["webhook", "--port=70000"], "--port"),
        (["controller", "--measure-concurrency=many"], "--measure-concurrency"),
    ],
)
def test_a_wrong_flag_is_named(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_without_a_cluster_it_ends_with_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(logs, "configure", lambda _: None)
    with pytest.raises(SystemExit) as caught:
        cli.main(["controller", f"--kubeconfig={tmp_path / 'none'}"])
    assert caught.value.code == 1
    assert "pullsizer: no way to reach a cluster" in capsys.readouterr().err


def test_help_names_both_roles(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert "controller" in text
    assert "webhook" in text


def test_a_log_line_is_one_line_whatever_is_in_it() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "seen name=%s", "args": ("a\nb",)})
    record.namespace = "models"
    text = logs.Formatter().format(record)
    assert text.endswith("INFO x seen name=a\\nb namespace=models")
    assert "\n" not in text
