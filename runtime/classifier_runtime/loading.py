"""From settings to a model that has answered once."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

from classifier_runtime import container, model, warmup
from classifier_runtime.backends import choose
from classifier_runtime.core.labels import labels_of
from classifier_runtime.core.serving import Facts
from classifier_runtime.errors import ModelRefused
from classifier_runtime.model import ModelSpec
from classifier_runtime.server import Loaded
from classifier_runtime.settings import Settings
from classifier_runtime.tasks.of_model import task_of

log = logging.getLogger(__name__)

CPU_QUEUE_TOKENS: Final = 65_536
CUDA_QUEUE_TOKENS: Final = 4_194_304

# Of a model of the Hub: what `model` and backends read. Many have the same weights in five formats.
FILES: Final = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
    "openvino_model.*",
    "verdict.json",
)


def load(settings: Settings) -> Loaded:
    """:raises ModelRefused: why this model, or this way of serving it, is none"""
    spec = model.read(
        _folder(settings),
        task=settings.task,
        trust_remote_code=settings.trust_remote_code,
        allow_pickle=settings.allow_pickle,
    )
    spec = _shorter(spec, settings.max_model_len)
    chosen = choose.load(
        spec,
        choose.Wanted(
            device=settings.device,
            dtype=settings.dtype,
            backend="auto" if settings.backend == "huggingface" else settings.backend,
            threads=settings.threads or container.cpus(),
            cache_dir=settings.cache_dir,
            probe=settings.probe == "always",
        ),
    )
    backend = chosen.backend
    if backend.classes != spec.classes:  # only the loaded model knew
        spec = replace(spec, classes=backend.classes, labels=labels_of(spec.config, backend.classes))
    task = task_of(spec, settings.max_pixels)
    budget = warmup.run(spec, task, backend, settings.max_batch_tokens)
    return Loaded(
        Facts(spec.task, spec.labels, spec.problem, spec.max_tokens),
        task,
        backend,
        budget,
        settings.queue_tokens or (CUDA_QUEUE_TOKENS if backend.device.startswith("cuda") else CPU_QUEUE_TOKENS),
        {
            "backend": backend.name,
            "device": backend.device,
            "reason": chosen.reason,
            "fell_back": chosen.fell_back or "",
            "model_type": spec.model_type,
            "labels": spec.labels.verdict,
        },
    )


def _folder(settings: Settings) -> Path:
    if settings.model_id is None:
        if settings.model_revision is not None:
            raise ModelRefused(
                f"--model_revision {settings.model_revision} is of --model_id, which is not given; of a model that "
                "KServe pulls it belongs into storageUri: hf://OWNER/NAME:REVISION"
            )
        if not settings.model_dir.is_dir():
            raise ModelRefused(
                f"--model_dir {settings.model_dir}: no folder; mount the model there, or give a storageUri so that "
                "KServe does"
            )
        return settings.model_dir
    log.warning(
        "--model_id %s is downloaded by this process, which nothing sizes or keeps; rather use storageUri: hf://%s",
        settings.model_id,
        settings.model_id,
    )
    import huggingface_hub  # noqa: PLC0415 - only where a model is downloaded

    try:
        folder = huggingface_hub.snapshot_download(
            settings.model_id, revision=settings.model_revision, allow_patterns=_files(settings)
        )
    except Exception as error:  # whatever the Hub, the network or the disk says
        reason = " ".join(str(error).split())
        raise ModelRefused(
            f"--model_id {settings.model_id}: not downloaded ({type(error).__name__}: {reason})"
        ) from error
    return Path(folder)


def _files(settings: Settings) -> list[str]:
    pickles = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin")
    return [*FILES, *(pickles if settings.allow_pickle else ()), *(("*.py",) if settings.trust_remote_code else ())]


def _shorter(spec: ModelSpec, asked: int | None) -> ModelSpec:
    if asked is None or not spec.max_tokens:
        return spec
    if asked > spec.max_tokens:
        log.warning("--max_model_len %d is more than the model takes, which is %d", asked, spec.max_tokens)
        return spec
    return replace(spec, max_tokens=asked)
