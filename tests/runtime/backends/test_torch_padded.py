from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier_runtime.backends import torch_model
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.core.job import Item
from classifier_runtime.errors import DeviceLost, ModelFailed, ModelRefused, OutOfMemory
from classifier_runtime.model import read
from tests.runtime import tiny
from tests.runtime.backends.items import TEXTS, images, item, items, of_ids, same, spec, tokenizer

FAMILIES = (*tiny.SEQUENCE, *tiny.DECODERS, *tiny.TOKEN, *tiny.VISION)


def reference(name: str) -> Any:
    import torch

    model = torch_model.AUTO[spec(name).task].from_pretrained(tiny.model(name)).eval()
    with torch.no_grad():
        if spec(name).task == "image-classification":
            return model(pixel_values=torch.from_numpy(images(3))).logits.numpy()
        batch = tokenizer(name)(list(TEXTS), padding=True, truncation=True, return_tensors="pt")
        logits = model(**batch).logits.numpy()
    if spec(name).task == "token-classification":
        return [row[:count] for row, count in zip(logits, batch["attention_mask"].sum(1).tolist(), strict=True)]
    return logits


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_transformers_whatever_else_is_in_the_batch(name: str) -> None:
    backend = TorchPadded(spec(name))

    found = backend.forward(items(name))

    same(found, list(reference(name)), 1e-5)
    same([backend.forward([one])[0] for one in items(name)], found, 1e-5)
    assert all(row.dtype == np.float32 and row.flags.c_contiguous for row in found)
    assert backend.classes == spec(name).classes == found[0].shape[-1]


@pytest.mark.parametrize("name", ["bert", "bert-token", "llama", "convnext"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_comes_to_the_host_as_finite_float32(name: str, dtype: str) -> None:
    backend = TorchPadded(spec(name), dtype=dtype)

    found = backend.forward(items(name))

    assert backend.dtype == dtype
    assert all(row.dtype == np.float32 and row.flags.c_contiguous and np.isfinite(row).all() for row in found)
    same(found, list(reference(name)), 0.2)


def test_what_torch_will_not_hand_over_is_handed_over() -> None:
    import torch

    gradient = torch.ones(3, 2, dtype=torch.bfloat16, requires_grad=True)
    turned = torch.arange(6.0).reshape(2, 3).T

    assert torch_model.host(gradient).tolist() == [[1, 1]] * 3
    assert torch_model.host(turned).flags.c_contiguous
    assert torch_model.host(turned).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_pair_is_told_from_one_text() -> None:
    backend = TorchPadded(spec("nli"))

    pair, turned, joined = backend.forward(
        [item("nli", "good film", "bad film"), item("nli", "bad film", "good film"), item("nli", "good film bad film")]
    )

    assert np.abs(pair - turned).max() > 0.01
    assert np.abs(pair - joined).max() > 0.01


def test_a_text_that_its_task_padded_is_answered_on_its_padding_too() -> None:
    backend = TorchPadded(spec("bert-token"))
    short = item("bert-token", "good film")
    ids = np.append(short.arrays["input_ids"], [0, 0, 0])
    padded = of_ids(ids, attention_mask=np.array([1] * short.tokens + [0] * 3))

    (found,) = backend.forward([padded])

    assert found.shape == (short.tokens + 3, 5)
    same([found[: short.tokens]], backend.forward([short]), 1e-5)


def test_all_labels_are_there_whatever_config_json_says(tmp_path: Path) -> None:
    expected = TorchPadded(spec("bert")).forward(items("bert"))
    for name, said in tiny.ID2LABEL.items():
        found = read(tiny.variant("bert", tmp_path / name, id2label=said))
        assert found.classes == 3
        same(TorchPadded(found).forward(items("bert")), expected, 1e-6)


def test_a_decoder_without_a_padding_token_is_refused(tmp_path: Path) -> None:
    folder = tiny.variant("llama", tmp_path / "m", without=("tokenizer_config.json",), pad_token_id=None)

    with pytest.raises(ModelRefused, match=r"no pad_token_id.*write into config.json"):
        TorchPadded(read(folder))


def test_weights_without_the_classifier_are_refused_and_not_filled_with_random_numbers(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tiny.variant("bert", tmp_path / "m", without=("model.safetensors",))
    weights = load_file(tiny.model("bert") / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})

    with pytest.raises(ModelRefused, match=r"weights are missing \(classifier.weight\)"):
        TorchPadded(read(folder))


def test_a_model_type_that_transformers_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m", model_type="bert-2030")

    with pytest.raises(ModelRefused, match="knows no model_type 'bert-2030'"):
        TorchPadded(read(folder))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (of_ids([5, 9_999]), "gives id 9999"),
        (of_ids([5, -1]), "do not belong together"),
        (of_ids([5] * 129), "129 tokens"),
        (of_ids([]), "0 tokens"),
        (of_ids([5, 6], token_type_ids=np.array([0, 2])), "gives type 2"),
    ],
)
def test_what_would_be_out_of_a_device_s_range_is_found_on_the_host(wrong: Item, message: str) -> None:
    with pytest.raises(ModelFailed, match=message):
        TorchPadded(spec("bert")).forward([*items("bert"), wrong])


def test_as_many_threads_compute_as_were_asked_for_also_in_a_thread_that_did_not_load() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        backend = TorchPadded(spec("bert"), threads=3)

        def asked() -> int:
            backend.forward(items("bert"))
            return int(torch.get_num_threads())

        with ThreadPoolExecutor(1) as engine:
            assert engine.submit(asked).result() == 3
    finally:
        torch.set_num_threads(before)


def test_what_torch_raises_has_a_name_of_ours() -> None:
    import torch

    with pytest.raises(OutOfMemory), torch_model.errors():
        raise torch.OutOfMemoryError
    with pytest.raises(OutOfMemory), torch_model.errors():
        torch.empty(1 << 60, dtype=torch.int8)
    with pytest.raises(DeviceLost), torch_model.errors():
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")
    with pytest.raises(ModelFailed), torch_model.errors():
        torch.ones(2) @ torch.ones(3)


def test_models_whose_rows_want_as_many_ends_take_texts_and_pairs_in_one_batch(tmp_path: Path) -> None:
    import torch
    import transformers

    torch.manual_seed(tiny.SEED)
    small = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
    config = transformers.BartConfig(
        vocab_size=50,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=40,
        **small,
    )
    transformers.BartForSequenceClassification(config).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({}), encoding="utf-8")
    backend = TorchPadded(read(tmp_path))
    mixed = [of_ids([0, 7, 2]), of_ids([0, 7, 8, 2, 2, 9, 2]), of_ids([0, 9, 10, 11, 2])]

    same(backend.forward(mixed), [backend.forward([one])[0] for one in mixed], 1e-5)
