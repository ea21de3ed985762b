from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file, save_file

from classifier_runtime.fingerprint import fingerprint
from tests.runtime import tiny


def test_a_copy_of_another_day_is_the_same_model(tmp_path: Path) -> None:
    shutil.copytree(tiny.model("bert"), tmp_path / "m")
    os.utime(tmp_path / "m" / "model.safetensors", (0, 0))

    assert fingerprint(tmp_path / "m") == fingerprint(tiny.model("bert"))


def test_what_classes_are_called_is_for_people_to_edit(tmp_path: Path) -> None:
    shutil.copytree(tiny.model("bert"), tmp_path / "m")
    file = tmp_path / "m" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "id2label": {"0": "bad"}, "label2id": {"bad": 0}}))

    assert fingerprint(tmp_path / "m") == fingerprint(tiny.model("bert"))


def test_what_is_computed_otherwise_is_another_model(tmp_path: Path) -> None:
    assert fingerprint(tiny.variant("bert", tmp_path / "m", hidden_act="relu")) != fingerprint(tiny.model("bert"))


@pytest.mark.parametrize("name", sorted(load_file(tiny.model("bert") / "model.safetensors")))
def test_each_tensor_counts_though_the_file_is_as_large(name: str, tmp_path: Path) -> None:
    shutil.copytree(tiny.model("bert"), tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    weights[name] = weights[name] + 1
    save_file(weights, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})

    assert fingerprint(tmp_path / "m") != fingerprint(tiny.model("bert"))


def zipped(weights: object, file: Path) -> None:
    torch.save(weights, file)


def as_before_torch_1_6(weights: object, file: Path) -> None:
    torch.save(weights, file, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("save", [zipped, as_before_torch_1_6])
def test_pickles_are_told_apart_too(save: Callable[[object, Path], None], tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m", without=("model.safetensors",))
    found = []
    for number in (1.0, 2.0):
        save({"classifier.bias": torch.full((9,), number)}, folder / "pytorch_model.bin")
        shutil.copytree(folder, tmp_path / f"copy of {number}")
        found.append(fingerprint(folder))
        assert fingerprint(tmp_path / f"copy of {number}") == found[-1]

    assert found[0] != found[1]
