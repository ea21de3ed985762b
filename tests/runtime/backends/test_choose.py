from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classifier_runtime import verdict
from classifier_runtime.backends import cuda, probe
from classifier_runtime.backends.choose import BackendName, Wanted, load
from classifier_runtime.errors import ModelRefused
from classifier_runtime.model import read
from tests.runtime import exported, tiny
from tests.runtime.backends.items import spec

CPU = Wanted(device="cpu", threads=1)


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As in an image that has them not."""
    from importlib.util import find_spec

    def found(name: str) -> Any:
        return None if name in packages else find_spec(name)

    for module in ("choose", "convert_once"):
        monkeypatch.setattr(f"classifier_runtime.backends.{module}.find_spec", found)


def test_without_an_export_it_is_torch_packed_where_that_is_right() -> None:
    assert load(spec("bert"), CPU).backend.name == "torch-packed"
    assert load(spec("mpnet"), CPU).backend.name == "torch-padded"
    assert "not proved right for mpnet" in load(spec("mpnet"), CPU).reason


def test_an_export_is_openvinos() -> None:
    found = load(read(exported.folder("bert")), CPU)

    assert (found.backend.name, found.backend.device, found.fell_back) == ("openvino", "cpu", None)


def test_what_is_asked_for_is_had(tmp_path: Path) -> None:
    both = read(exported.beside("bert", tmp_path / "m"))

    names: tuple[BackendName, ...] = ("torch-padded", "torch-packed", "openvino")
    for name in names:
        assert load(both, dataclasses.replace(CPU, backend=name)).backend.name == name


def negate(folder: Path) -> None:
    """Other weights of the same name and size, as training anew makes them."""
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] = -1 - weights["classifier.bias"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def no_verdict(folder: Path) -> None:
    (folder / "verdict.json").unlink()


def cut_verdict(folder: Path) -> None:
    (folder / "verdict.json").write_text("{")


def another_layout(folder: Path) -> None:
    said = json.loads((folder / "verdict.json").read_text())
    (folder / "verdict.json").write_text(json.dumps({**said, "layout": verdict.LAYOUT + 1}))


def cut_model(folder: Path) -> None:
    (folder / "openvino_model.xml").write_text("<net")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (negate, "was made of another config.json or other weights; export it again"),
        (no_verdict, "no verdict.json of this version beside it"),
        (cut_verdict, "no verdict.json of this version beside it"),
        (another_layout, "no verdict.json of this version beside it"),
        (cut_model, "cannot load it; export it again"),
    ],
)
def test_an_export_that_is_not_the_models_is_left_aside_or_refused_where_there_is_nothing_else(
    spoil: Callable[[Path], None],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = exported.beside("bert", tmp_path / "m")
    spoil(folder)

    assert load(read(folder), CPU).backend.name == "torch-packed"
    assert message in caplog.text
    with pytest.raises(ModelRefused, match=message):
        load(read(folder), dataclasses.replace(CPU, backend="openvino"))
    without(monkeypatch, "torch")
    with pytest.raises(ModelRefused, match=message):
        load(read(folder), CPU)


@pytest.mark.parametrize("spoil", [no_verdict, cut_verdict])
def test_an_export_alone_without_its_verdict_is_refused(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    shutil.copytree(exported.folder("bert"), tmp_path / "m")
    spoil(tmp_path / "m")

    with pytest.raises(ModelRefused, match=r"no verdict\.json of this version beside it"):
        load(read(tmp_path / "m"), CPU)


def test_a_verdict_counts_on_the_kind_of_cpu_that_it_is_of(tmp_path: Path) -> None:
    folder = exported.beside("bert", tmp_path / "m")
    found = verdict.read(folder)
    assert found is not None

    dataclasses.replace(found, backend="torch-packed").write(folder)
    assert load(read(folder), CPU).backend.name == "torch-packed"

    dataclasses.replace(found, backend="torch-packed", cpu=("another",)).write(folder)
    assert load(read(folder), CPU).backend.name == "openvino"


def test_a_verdict_for_torch_means_nothing_without_torchs_weights(tmp_path: Path) -> None:
    folder = exported.beside("bert", tmp_path / "m")
    (folder / "model.safetensors").unlink()
    found = verdict.read(folder)
    assert found is not None
    dataclasses.replace(found, backend="torch-packed").write(folder)

    assert load(read(folder), CPU).backend.name == "openvino"


def test_openvino_without_an_export_is_refused_with_the_remedy() -> None:
    with pytest.raises(ModelRefused, match=r"no openvino_model\.xml; write one with"):
        load(spec("bert"), dataclasses.replace(CPU, backend="openvino"))


def test_an_export_alone_is_nothing_for_torch() -> None:
    with pytest.raises(ModelRefused, match="an export without the model's own weights"):
        load(read(exported.folder("bert")), dataclasses.replace(CPU, backend="torch-padded"))


def test_an_image_without_torch_serves_exports_only(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "torch", "transformers")

    assert load(read(exported.folder("bert")), CPU).backend.name == "openvino"
    with pytest.raises(ModelRefused, match="torch is not installed; export the model, or use the image with torch"):
        load(spec("bert"), CPU)


def test_an_image_without_openvino_serves_the_models_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "openvino")

    assert load(read(exported.beside("bert", tmp_path / "m")), CPU).backend.name == "torch-packed"
    with pytest.raises(ModelRefused, match="openvino is not installed"):
        load(read(exported.folder("bert")), CPU)


def test_half_precision_is_computed_in_if_asked_for_and_not_on_the_cpu_by_itself() -> None:
    half = dataclasses.replace(spec("bert"), dtype="bfloat16")

    assert load(half, CPU).backend.dtype == "float32"  # type: ignore[attr-defined] # torch's backends say it
    assert load(half, dataclasses.replace(CPU, dtype="half")).backend.dtype == "float16"  # type: ignore[attr-defined]


def test_timed_at_the_start_the_faster_one_is_taken_whatever_the_verdict_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = read(exported.beside("bert", tmp_path / "m"))
    for seconds, name in (({"openvino": 1.0, "torch-packed": 0.5}, "torch-packed"), ({"openvino": 1.0}, "openvino")):
        monkeypatch.setattr(probe, "timings", lambda *_, seconds=seconds: seconds)
        assert load(both, dataclasses.replace(CPU, probe=True)).backend.name == name


def test_there_is_nothing_to_time_without_torchs_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "timings", None)

    assert load(read(exported.folder("bert")), dataclasses.replace(CPU, probe=True)).backend.name == "openvino"


class Driver:
    """libcuda, as far as it is asked."""

    def __init__(self, version: int, count: int, fails: int = 0) -> None:
        self._said, self._fails = {"cuDriverGetVersion": version, "cuDeviceGetCount": count}, fails

    def __getattr__(self, name: str) -> Any:
        if name == "cuInit":
            return lambda _: self._fails

        def answer(target: Any) -> int:
            target._obj.value = self._said[name]
            return 0

        return answer


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        (None, r"--device cuda: no NVIDIA driver here; give the pod a GPU \(resources.limits: nvidia.com/gpu\)"),
        (Driver(13020, 0), "the NVIDIA driver shows no GPU; give the pod one"),
        (Driver(13020, 0, fails=100), "the NVIDIA driver shows no GPU"),
        (
            Driver(11080, 1),
            r"the NVIDIA driver can CUDA 11.8 and torch .* needs 1\d; update the node's driver, or install",
        ),
    ],
)
def test_cuda_that_cannot_be_used_is_refused_with_driver_wheel_and_remedy(
    driver: Driver | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.version, "cuda", torch.version.cuda or "12.8")

    def library(_: str) -> Driver:
        if driver is None:
            raise OSError
        return driver

    monkeypatch.setattr("ctypes.CDLL", library)

    with pytest.raises(ModelRefused, match=message):
        load(spec("bert"), dataclasses.replace(CPU, device="cuda"))


def test_auto_falls_back_to_the_cpu_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: Driver(11080, 1))

    found = load(spec("bert"), dataclasses.replace(CPU, device="auto"))

    assert found.backend.device == "cpu"
    assert found.fell_back is not None
    assert "there is a GPU, and the CPU is used" in caplog.text


def test_a_wheel_without_cuda_is_named() -> None:
    class Cpu:
        __version__ = "2.15.0+cpu"

        class version:  # noqa: N801 - torch's name
            cuda = None

    assert cuda._mismatch(12040, Cpu) == (
        "torch 2.15.0+cpu is built without CUDA; install a build for CUDA 12.4 or older"
    )


def test_tiny_models_are_made_the_same_in_every_run(tmp_path: Path) -> None:
    tiny._make("roberta", tmp_path / "again")

    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tiny.model("roberta") / name).read_bytes()
