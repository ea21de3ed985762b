"""Which backend, on which device: decided once, at start, and said.

CUDA is torch's: packed in half precision, else padded. On the CPU an export is OpenVINO's, unless its verdict says
that torch is faster on this kind of CPU and torch's weights are there, or both are timed now; without an export it is
torch, packed where it can be.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from classifier_runtime import verdict
from classifier_runtime.backends import convert_once, cuda, probe
from classifier_runtime.backends.base import Backend
from classifier_runtime.checkpoint import OPENVINO, weights
from classifier_runtime.errors import ModelRefused
from classifier_runtime.fingerprint import fingerprint
from classifier_runtime.model import ModelSpec

log = logging.getLogger(__name__)

BackendName = Literal["auto", "torch-packed", "torch-padded", "openvino"]
Dtype = Literal["auto", "float32", "float", "float16", "half", "bfloat16"]
# KServe has two names for two of them.
SHORT: Final = {"float": "float32", "half": "float16"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator said.

    :param cache_dir: where an export is kept that the first start makes, of a model that brings none
    :param probe: time OpenVINO and torch now, whatever the verdict says
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Dtype = "auto"
    backend: BackendName = "auto"
    threads: int | None = None
    cache_dir: Path | None = None
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A backend, ready.

    :param fell_back: why the CPU is used although there is a GPU; None where that is not so
    """

    backend: Backend
    reason: str
    fell_back: str | None = None


def load(spec: ModelSpec, wanted: Wanted) -> Chosen:
    """:raises ModelRefused: what was asked for cannot be had; why, and the remedy"""
    device, fell_back = _device(spec, wanted)
    dtype = SHORT.get(wanted.dtype, wanted.dtype)
    if dtype == "auto":
        dtype = spec.dtype if device != "cpu" and spec.dtype in ("float16", "bfloat16") else "float32"
    exported = _openvino(spec, wanted, dtype) if device == "cpu" and not wanted.backend.startswith("torch") else None
    backend, reason = exported or _torch(spec, wanted, device, dtype)
    log.info("backend=%s device=%s dtype=%s reason=%r", backend.name, backend.device, dtype, reason)
    return Chosen(backend, reason, fell_back)


def _device(spec: ModelSpec, wanted: Wanted) -> tuple[str, str | None]:
    if wanted.device == "cuda":
        if reason := cuda.problem():
            raise ModelRefused(f"--device cuda: {reason}")
        return "cuda:0", None
    if wanted.device == "cpu" or spec.weights == "openvino" or wanted.backend == "openvino" or not cuda.present():
        return "cpu", None
    if reason := cuda.problem():
        log.warning("there is a GPU, and the CPU is used: %s", reason)
        return "cpu", reason
    return "cuda:0", None


def _openvino(spec: ModelSpec, wanted: Wanted, dtype: str) -> tuple[Backend, str] | None:
    """None for torch: there is no export, torch is faster, or the export is not to be trusted."""
    try:
        exported = _exported(spec, wanted)
        if exported is None:
            return None
        from classifier_runtime.backends.openvino import OpenVino  # noqa: PLC0415 - installed where there are exports

        file, reason = exported
        return OpenVino(spec, file, dtype=dtype, threads=wanted.threads), reason
    except ModelRefused as error:
        if _nothing_else(spec, wanted):
            raise
        log.warning("the export is not used: %s", error)
        return None


def _nothing_else(spec: ModelSpec, wanted: Wanted) -> bool:
    return wanted.backend == "openvino" or spec.weights == "openvino" or find_spec("torch") is None


def _exported(spec: ModelSpec, wanted: Wanted) -> tuple[Path, str] | None:
    """The export to use, and why; None for torch.

    :raises ModelRefused: there is one that cannot be used
    """
    folder: Path | None = spec.path
    if not (spec.path / OPENVINO).is_file():
        folder = convert_once.cached(spec, wanted.cache_dir) if wanted.cache_dir is not None else None
    if folder is None:
        if wanted.backend == "openvino":
            raise ModelRefused(f"{spec.path}: no {OPENVINO}; write one with `python -m classifier_runtime export`")
        return None
    file = folder / OPENVINO
    if find_spec("openvino") is None:
        raise ModelRefused("openvino is not installed; use the image with it, or the model's own weights with torch")
    found = verdict.read(folder)
    if found is None:
        raise ModelRefused(
            f"{file}: no {verdict.VERDICT} of this version beside it: not of `classifier_runtime export`, or not "
            "finished; export it again"
        )
    if weights(spec.path) and found.model != fingerprint(spec.path):
        raise ModelRefused(f"{file} was made of another config.json or other weights; export it again")
    if wanted.backend == "openvino":
        return file, "asked for"
    if wanted.probe and not _nothing_else(spec, wanted):
        seconds = probe.timings(spec, file, wanted.threads)
        return (file, "the faster one now") if probe.fastest(seconds) == "openvino" else None
    if found.backend.startswith("torch") and not _nothing_else(spec, wanted):
        if found.cpu == verdict.cpu_flags():
            return None
        log.info("the verdict beside the export is of another CPU: OpenVINO is used")
    return file, "an export is there"


def _torch(spec: ModelSpec, wanted: Wanted, device: str, dtype: str) -> tuple[Backend, str]:
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise ModelRefused(
            f"{spec.path}: no {OPENVINO}, and torch is not installed; export the model, or use the image with torch"
        )
    if spec.weights == "openvino":
        raise ModelRefused(f"{spec.path}: an export without the model's own weights, which torch needs")
    from classifier_runtime.backends.torch_packed import TorchPacked, refusal  # noqa: PLC0415 - seconds, and gigabytes
    from classifier_runtime.backends.torch_padded import TorchPadded  # noqa: PLC0415

    reason = refusal(spec, device, dtype)
    if wanted.backend == "torch-packed" or (wanted.backend != "torch-padded" and reason is None):
        try:
            return TorchPacked(spec, device=device, dtype=dtype, threads=wanted.threads), "padding-free"
        except ModelRefused as error:
            if wanted.backend == "torch-packed":
                raise
            log.warning("%s", error)
            reason = "the packed model's check failed"
    padded = TorchPadded(spec, device=device, dtype=dtype, threads=wanted.threads)
    return padded, "asked for" if wanted.backend == "torch-padded" else f"not packed: {reason}"
