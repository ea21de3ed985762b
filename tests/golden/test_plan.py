"""`pullsizer plan` says of every case just what admission does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pullsizer.cli import main
from tests.golden.cases import CASES, FOLDER, decided, patched, read


def planned(case: str, form: str, capsys: pytest.CaptureFixture[str]) -> Any:
    folder = FOLDER / case
    around = ["-f", str(folder / "cluster.yaml")] if (folder / "cluster.yaml").exists() else []
    files = ["-f", str(folder / "pod.yaml"), *around]
    known = ["--config", str(folder / "config.yaml"), "--model", str(folder / "model.json")]
    assert main(["plan", *files, *known, "-o", form]) in (0, 3)
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("case", CASES)
def test_plan_and_admission_agree(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    pod, verdict = decided(case)
    (found,) = planned(case, "json", capsys)["pods"]
    assert found["outcome"] == verdict.outcome
    assert patched(pod, found["patch"]) == patched(pod, verdict.operations)
    expected = read(case, "expected.yaml").get("sizing", {})
    for container in found["containers"]:
        noted = expected.get(container["name"])
        if noted is None:
            continue  # what is only recommended, or was noted by an earlier call
        assert container["before"] == noted["from"]
        assert (container["after"] or container["before"]) == noted["to"]
        assert container["basis"] == noted["basis"]
        # Of reasons that are too many or too long for an annotation, the plan alone has the whole.
        for whole, short in zip(container["reasons"], noted["why"], strict=False):
            assert whole.startswith(short.removesuffix("…"))


def test_the_patch_alone_is_the_very_patch(capsys: pytest.CaptureFixture[str]) -> None:
    _, verdict = decided("classic-storage-uri")
    assert planned("classic-storage-uri", "patch", capsys) == list(verdict.operations)


def test_no_folder_is_left_out() -> None:
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert folders == set(CASES)
    for case in CASES:
        assert {"config.yaml", "model.json", "expected.yaml"} <= {path.name for path in Path(FOLDER / case).iterdir()}
