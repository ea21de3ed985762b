"""A model without an export, and a folder that outlives the process: the first start converts, the next ones find it.

In a process of its own: what converting needs (torch, and the weights three times) is gone before the first request.
"""

from __future__ import annotations

import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from classifier_runtime import container, verdict
from classifier_runtime.checkpoint import OPENVINO
from classifier_runtime.errors import ClassifierError
from classifier_runtime.model import ModelSpec

log = logging.getLogger(__name__)

REFUSED: Final = "refused.txt"
# The weights as torch has them, as OpenVINO has them, and as both compute at once to be compared.
COPIES: Final = 4
# torch, transformers and OpenVINO, imported.
LIBRARIES: Final = 1 << 30


def cached(spec: ModelSpec, cache_dir: Path) -> Path | None:
    """The folder of the model's export, made now if it can be; None for torch."""
    folder = cache_dir / verdict.model_hash(spec.path)
    if (folder / OPENVINO).is_file():
        return folder
    if (folder / REFUSED).is_file() or any(find_spec(name) is None for name in ("torch", "transformers", "openvino")):
        return None
    needed = LIBRARIES + COPIES * sum(file.stat().st_size for file in spec.path.glob("*.safetensors"))
    free = container.memory_free()
    if free is not None and free < needed:
        log.warning("not converted for OpenVINO: that needs %d MiB and %d are free", needed >> 20, free >> 20)
        return None
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as child:
        try:
            child.submit(_export, spec, folder).result()
        except (ClassifierError, OSError, RuntimeError) as error:
            log.warning("not converted for OpenVINO: %s", error)
            _remember(folder, error)
            return None
    return folder


def _export(spec: ModelSpec, folder: Path) -> None:
    from classifier_runtime.export import export  # noqa: PLC0415 - torch stays in the child

    export(
        spec.path,
        folder,
        task=spec.task,
        trust_remote_code=spec.remote_code,
        allow_pickle=spec.weights == "pickle",
        timed=False,
    )


def _remember(folder: Path, error: Exception) -> None:
    """So that the next start does not try again; deleting the file makes it."""
    if isinstance(error, ClassifierError) and folder.is_dir():
        (folder / REFUSED).write_text(f"{error}\n", encoding="utf-8")
