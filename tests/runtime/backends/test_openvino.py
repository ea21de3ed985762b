from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from classifier_runtime.backends.openvino import OpenVino
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.checkpoint import OPENVINO
from classifier_runtime.errors import ModelFailed, ModelRefused
from classifier_runtime.model import read
from tests.runtime import exported, tiny
from tests.runtime.backends.items import item, items, of_ids, same, spec

CONVERTED = (*tiny.SEQUENCE, *tiny.VISION, "bert-token", "modernbert-token")


def backend(name: str) -> OpenVino:
    folder = exported.folder(name)
    return OpenVino(read(folder), folder / OPENVINO, threads=1)


@pytest.mark.parametrize("name", CONVERTED)
def test_logits_are_torchs_whatever_else_is_in_the_batch(name: str) -> None:
    found, exact = backend(name), TorchPadded(spec(name)).forward(items(name))

    same(found.forward(items(name)), exact, 1e-4)
    same([found.forward([one])[0] for one in items(name)], exact, 1e-4)
    assert all(row.dtype == np.float32 and row.flags.c_contiguous for row in found.forward(items(name)))
    assert found.classes == spec(name).classes


def test_an_answer_is_not_changed_by_the_next_batch() -> None:
    found = backend("bert")
    first = found.forward(items("bert"))
    kept = [row.copy() for row in first]

    found.forward(items("bert")[::-1])

    same(first, kept, 0)


def test_texts_share_a_row_where_packing_is_proved_right_and_else_are_padded() -> None:
    assert backend("bert").cost(2, 100, 120) == 120
    assert backend("deberta-v2").cost(2, 100, 120) == 224
    assert backend("vit").cost(3, 5, 15) == 15


def test_what_a_task_padded_itself_is_answered_on_the_padding_too() -> None:
    ids, more = items("bert-token")[1].arrays["input_ids"], 5
    padded = of_ids(np.pad(ids, (0, more)), attention_mask=np.repeat([1, 0], [len(ids), more]))
    batch = [items("bert-token")[0], padded, items("bert-token")[4]]

    found = backend("bert-token").forward(batch)

    same(found, TorchPadded(spec("bert-token")).forward(batch), 1e-4)
    assert len(found[1]) == len(ids) + more


def test_pairs_are_told_from_texts() -> None:
    pairs = [item("nli", "good film", "bad film"), item("nli", "bad film", "good film")]

    same(backend("nli").forward(pairs), TorchPadded(spec("nli")).forward(pairs), 1e-4)


def test_ids_that_the_model_does_not_have_are_an_error_and_not_another_word() -> None:
    with pytest.raises(ModelFailed, match="they do not belong together"):
        backend("bert").forward([of_ids([9_999])])


def test_what_openvino_computes_in_is_what_was_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        backend("bert")

    assert "precision=f32" in caplog.text


@pytest.mark.parametrize("content", ["", "<xml/>", "not xml"])
def test_an_export_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / OPENVINO).write_text(content)

    with pytest.raises(ModelRefused, match="cannot load it; export it again"):
        OpenVino(spec("bert"), tmp_path / OPENVINO)


def test_an_export_of_another_kind_of_model_is_refused() -> None:
    with pytest.raises(ModelRefused, match="was not exported by this runtime; export it again"):
        OpenVino(spec("bert"), exported.folder("vit") / OPENVINO)
