from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.utils._paths import filter_repo_objects

from classifier_runtime.errors import ModelRefused
from classifier_runtime.loading import load
from classifier_runtime.settings import Settings
from tests.runtime import tiny

SERVED = {"config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "verdict.json"}
SERVED |= {"model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
SERVED |= {"model.safetensors", "openvino_model.xml", "openvino_model.bin"}
PICKLES = {"pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"}
CODE = {"modeling_own.py"}
OTHERS = {"tf_model.h5", "flax_model.msgpack", "rust_model.ot", "onnx/model.onnx", "onnx/config.json", "README.md"}
OTHERS |= {"optimizer.pt", "checkpoint-500/model.safetensors", "checkpoint-500/pytorch_model.bin", "model.onnx"}


class Hub:
    """The client's own choice of files, and nothing is fetched."""

    def __init__(self) -> None:
        self.fetched: set[str] = set()
        self.revision: str | None = None

    def snapshot_download(self, _: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        listed = SERVED | PICKLES | CODE | OTHERS
        self.fetched = set(filter_repo_objects(listed, allow_patterns=allow_patterns))
        self.revision = revision
        return "/nowhere"


@pytest.mark.parametrize(
    ("allowed", "more"),
    [({}, set()), ({"allow_pickle": True}, PICKLES), ({"trust_remote_code": True}, CODE)],
)
def test_of_a_model_of_the_hub_no_more_is_downloaded_than_can_be_served(
    allowed: dict[str, Any], more: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)

    with pytest.raises(ModelRefused, match=r"/nowhere/config\.json cannot be read"):
        load(Settings(model_id="team/model", model_revision="v2", **allowed))

    assert (hub.fetched, hub.revision) == (SERVED | more, "v2")


def test_why_the_hub_did_not_give_a_model_is_said_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise ConnectionError("404 Client Error.\n\nRepository Not Found.\nIf it is private, log in.")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)

    with pytest.raises(ModelRefused) as refused:
        load(Settings(model_id="team/model"))

    assert str(refused.value) == (
        "--model_id team/model: not downloaded (ConnectionError: 404 Client Error. Repository Not Found. "
        "If it is private, log in.)"
    )


def test_a_revision_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="--model_revision v2 is of --model_id, which is not given"):
        load(Settings(model_dir=tmp_path, model_revision="v2"))


def test_what_kserve_calls_huggingface_is_all_of_ours() -> None:
    found = load(Settings(model_dir=tiny.model("bert"), device="cpu", backend="huggingface", threads=1))

    assert found.backend.name == "torch-packed"
