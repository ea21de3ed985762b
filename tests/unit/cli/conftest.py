"""The command in this process."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from pullsizer.cli import main
from tests.unit.cli.command import Command, Printed

_OF_THE_SHELL = ("KUBECONFIG", "POD_NAMESPACE", "NO_COLOR", "HF_TOKEN", "KUBERNETES_SERVICE_HOST")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """`pullsizer` with arguments and standard input, in an empty environment."""
    for name in (*_OF_THE_SHELL, *_PROXIES, *(name.upper() for name in _PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def command(*argv: object, stdin: str = "") -> Printed:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = main([str(argument) for argument in argv])
        printed = capsys.readouterr()
        return Printed(code, printed.out, printed.err)

    return command
