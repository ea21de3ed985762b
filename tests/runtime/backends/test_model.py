from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from classifier_runtime.errors import ModelRefused
from classifier_runtime.model import ModelSpec, read
from tests.runtime import exported, tiny

SEGMENTED = {"bert", "electra", "albert"}


def spec(name: str) -> ModelSpec:
    return read(tiny.model(name))


@pytest.mark.parametrize("name", tiny.SEQUENCE)
def test_a_text_classifier_is_read_from_its_files(name: str) -> None:
    found = spec(name)

    assert found.task == "text-classification"
    assert found.classes == 3
    assert found.labels.names == tiny.CLASSES
    assert (found.dtype, found.weights, found.remote_code) == ("float32", "safetensors", False)
    assert found.max_tokens == tiny.MAX_TOKENS
    assert found.pad_id == json.loads((tiny.model(name) / "config.json").read_text())["pad_token_id"]
    assert found.input_names == (("input_ids", "token_type_ids") if name in SEGMENTED else ("input_ids",))


def test_the_task_is_what_the_architecture_is_for() -> None:
    assert spec("bert-token").task == "token-classification"
    assert spec("llama").task == "text-classification"
    assert spec("vit").task == "image-classification"
    assert spec("vit").input_names == ("pixel_values",)
    assert spec("vit").max_tokens == 0


def test_what_a_model_with_other_problems_is_for_is_kept() -> None:
    assert spec("multi-label").problem == "multi_label_classification"
    assert (spec("regression").problem, spec("regression").classes) == ("regression", 1)
    assert (spec("regression-2").problem, spec("regression-2").classes) == ("regression", 2)
    assert (spec("one-label").problem, spec("one-label").classes) == (None, 1)


@pytest.mark.parametrize(
    ("said", "verdict", "names"),
    [
        ("partial", "partial", ("A", "LABEL_1", "C")),
        ("ints", "named", ("0", "1", "2")),
        ("duplicates", "named", ("same", "same", "other")),
        ("non-contiguous", "partial", ("LABEL_0", "A", "B")),
        ("unicode", "named", ("שלילי", "😐 meh|\"x\": 'y'", "e\u0301toile")),
        ("default", "default", ("LABEL_0", "LABEL_1", "LABEL_2")),
        ("list", "invalid", ("LABEL_0", "LABEL_1", "LABEL_2")),
    ],
)
def test_there_are_as_many_labels_as_the_weights_have_classes(
    said: str, verdict: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    found = read(tiny.variant("bert", tmp_path / "m", id2label=tiny.ID2LABEL[said]))

    assert (found.classes, found.labels.verdict, found.labels.names) == (3, verdict, names)


def tokenizer_says(folder: Path, **words: Any) -> Path:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **words}))
    return folder


def test_roberta_uses_positions_after_its_padding_id(tmp_path: Path) -> None:
    folder = tiny.variant("roberta", tmp_path / "m", max_position_embeddings=514)

    assert read(tokenizer_says(folder, model_max_length=int(1e30))).max_tokens == 512
    assert read(tokenizer_says(folder, model_max_length=300)).max_tokens == 300


def test_a_model_without_positions_takes_what_its_tokenizer_takes(tmp_path: Path) -> None:
    folder = tiny.variant("deberta-v2", tmp_path / "m", max_position_embeddings=None)

    assert read(folder).max_tokens == tiny.MAX_TOKENS
    assert read(tokenizer_says(folder, model_max_length=int(1e30))).max_tokens == 512


def test_the_tokenizer_decides_whether_segments_are_told_apart(tmp_path: Path) -> None:
    folder = tokenizer_says(tiny.variant("bert", tmp_path / "m"), model_input_names=["input_ids", "attention_mask"])

    assert read(folder).input_names == ("input_ids",)


def test_the_padding_token_may_be_the_tokenizers_only(tmp_path: Path) -> None:
    folder = tiny.variant("llama", tmp_path / "m", pad_token_id=None)

    assert read(folder).pad_id == 1
    assert read(tokenizer_says(folder, pad_token={"content": "<|end|>"})).pad_id == 0
    assert read(tokenizer_says(folder, pad_token=None)).pad_id is None


def test_an_export_is_a_model_without_weights_of_its_own() -> None:
    found = read(exported.folder("bert"))

    assert (found.weights, found.classes, found.max_tokens) == ("openvino", 3, tiny.MAX_TOKENS)


@pytest.mark.parametrize("said", ["text-classification", "sequence_classification", "text_classification"])
def test_the_task_may_be_said_as_anyone_calls_it(said: str, tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m", architectures=None)

    assert read(folder, task=said).task == "text-classification"


@pytest.mark.parametrize(
    ("config", "without", "message"),
    [
        ({}, ("config.json",), r"config.json cannot be read \(No such file or directory\); is this a model's folder"),
        ({}, ("tokenizer.json",), "no tokenizer.json; write one with"),
        ({}, ("model.safetensors",), "no weights; expected model.safetensors, or openvino_model.xml"),
        ({"architectures": ["BertForMaskedLM"]}, (), "BertForMaskedLM is no classifier; fine-tune it"),
        ({"architectures": None}, (), "names no architecture; give --task, one of text-classification, "),
        ({"auto_map": {"AutoModel": "x.Y"}}, (), "Python code of its own; read it, then give --trust_remote_code"),
        ({"problem_type": "ranking"}, (), "problem_type 'ranking' is none of single_label_classification"),
        ({"model_type": "layoutlm"}, (), "a layoutlm model needs more than text or an image"),
    ],
)
def test_what_cannot_be_served_right_is_refused_with_the_remedy(
    config: dict[str, Any], without: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    folder = tiny.variant("bert", tmp_path / "m", without=without, **config)

    with pytest.raises(ModelRefused, match=message):
        read(folder)


def test_code_of_the_models_own_is_run_if_asked_for(tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m", auto_map={"AutoModel": "x.Y"})

    assert read(folder, trust_remote_code=True).remote_code


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("bert", "translation", "--task translation: unknown; use one of text-classification, "),
        ("bert", "token_classification", "is a model for text-classification; leave --task out"),
        ("bert", "zero-shot-classification", "zero-shot needs a model with a label `entailment`"),
    ],
)
def test_a_task_that_is_not_the_models_is_refused(name: str, task: str, message: str) -> None:
    with pytest.raises(ModelRefused, match=message):
        read(tiny.model(name), task=task)


def test_zero_shot_is_the_task_of_a_model_for_inference() -> None:
    assert read(tiny.model("nli"), task="zero-shot-classification").task == "text-classification"


def test_pickles_are_loaded_only_if_asked_for(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from classifier_runtime.backends.torch_padded import TorchPadded
    from tests.runtime.backends.items import items, same

    folder = tiny.variant("bert", tmp_path / "m", without=("model.safetensors",))
    torch.save(load_file(tiny.model("bert") / "model.safetensors"), folder / "pytorch_model.bin")

    with pytest.raises(ModelRefused, match=r"a pickle, which can run code .* or give --allow_pickle"):
        read(folder)
    found = read(folder, allow_pickle=True)
    assert (found.weights, found.classes) == ("pickle", 3)
    same(TorchPadded(found).forward(items("bert")), TorchPadded(spec("bert")).forward(items("bert")), 1e-6)


def test_an_image_model_without_its_preprocessor_is_refused(tmp_path: Path) -> None:
    folder = tiny.variant("vit", tmp_path / "m", without=("preprocessor_config.json",))

    with pytest.raises(ModelRefused, match="nobody knows how the model wants its images"):
        read(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x01", b"<html>not found</html>", struct.pack("<Q", 1 << 62) + b"{", struct.pack("<Q", 2) + b"[]"],
)
def test_weights_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m", without=("model.safetensors",))
    (folder / "model.safetensors").write_bytes(content)

    with pytest.raises(ModelRefused, match=r"model.safetensors is no safetensors file; copy it again"):
        read(folder)


def test_a_pull_that_broke_off_is_refused(tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(ModelRefused, match="is cut: it ends before its weights do; copy it again"):
        read(folder)


def test_weights_in_several_files_are_one_model(tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m", without=("model.safetensors",))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    (folder / "one.safetensors").write_bytes((tiny.model("bert") / "model.safetensors").read_bytes())

    with pytest.raises(ModelRefused, match=r"two.safetensors of it is missing; copy the whole model"):
        read(folder)
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors"}}))
    assert read(folder).classes == 3


def test_config_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m")
    for content in ("", "[]", "{"):
        (folder / "config.json").write_text(content)
        with pytest.raises(ModelRefused, match=r"config.json is not .*; copy it again"):
            read(folder)
