"""docs/cli.md, against the commands that it describes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from pullsizer.cli.app import app
from pullsizer.cli.models import GivenModel, load_models
from tests.unit.cli.command import Command
from tests.unit.cli.services import text

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"
TEXT = PAGE.read_text()
ERNIE = "hf://baidu/ERNIE-4.5-VL-28B-A3B-Thinking"
SERVICE: dict[str, Any] = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "ernie-28b"},
    "spec": {"predictor": {"model": {
        "modelFormat": {"name": "huggingface"},
        "storageUri": ERNIE,
        "resources": {
            "requests": {"cpu": "4", "memory": "16Gi"},
            "limits": {"cpu": "4", "memory": "64Gi", "nvidia.com/gpu": "1"},
        },
    }}},
}  # fmt: skip


def flags(command: str) -> set[str]:
    root: Any = typer.main.get_command(app)
    return {flag for parameter in root.commands[command].params for flag in parameter.opts if flag.startswith("-")}


@pytest.mark.parametrize("command", ["plan", "explain"])
def test_the_page_has_every_flag_and_no_other(command: str) -> None:
    section = TEXT.partition(f"\n## {command.title()}\n")[2].partition("\n## ")[0]
    named = {
        flag
        for cell in re.findall(r"^\| (`-[^|]*) \|", section, re.MULTILINE)
        for flag in re.findall(r"`(-[^`]+)`", cell)
    }
    assert named == flags(command) - {"-h", "--help"}


def test_the_page_names_every_flag_of_size() -> None:
    section = TEXT.partition("\n## Size\n")[2].partition("\n## ")[0]
    for flag in flags("size") - {"-h", "--help", "--output"}:
        assert f"`{flag}`" in section


def test_the_page_has_every_key_of_a_model_and_models_that_are_read(tmp_path: Path) -> None:
    section = TEXT.partition("\n### Models\n")[2].partition("\n## ")[0]
    named = {
        key for line in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE) for key in re.findall(r"`([^`]+)`", line)
    }
    assert named - {"bytes"} == {field.alias or name for name, field in GivenModel.model_fields.items()}
    (block,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    path = tmp_path / "models.json"
    path.write_text(block)
    assert len(load_models([str(path)]).models) == len(json.loads(block))


def test_the_plan_on_the_page_is_what_is_printed(run: Command, tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    model.write_text(json.dumps({"uri": ERNIE, "bytes": "59G", "files": 28, "largest": "5G"}))
    printed = run("plan", "-f", "-", "--model", model, stdin=text(SERVICE)).out
    assert f"$ pullsizer plan -f service.yaml --model model.json\n{printed}```" in TEXT
