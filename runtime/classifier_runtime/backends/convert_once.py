"""A model without an export, and a folder that outlives the process: the first start converts, the next ones find it.

In a process of its own: what converting needs (torch, and the weights three times) is gone before the first request.
Several may be at it at once, and any may be killed: an export appears whole, by one renaming, and the first one stays.
"""

from __future__ import annotations

import logging
import socket
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from classifier_runtime import container
from classifier_runtime.backends import child
from classifier_runtime.checkpoint import OPENVINO
from classifier_runtime.errors import ClassifierError
from classifier_runtime.fingerprint import fingerprint
from classifier_runtime.model import ModelSpec
from classifier_runtime.verdict import LAYOUT

log = logging.getLogger(__name__)

# The weights as torch has them, as OpenVINO has them, and as both compute at once to be compared.
COPIES: Final = 4
# torch, transformers and OpenVINO, imported.
LIBRARIES: Final = 1 << 30


def cached(spec: ModelSpec, cache_dir: Path) -> Path | None:
    """The folder of the model's export, made now if it can be; None for torch."""
    if find_spec("openvino") is None:
        return None
    folder = cache_dir / key(spec)
    if (folder / OPENVINO).is_file():
        return folder
    if any(find_spec(name) is None for name in ("torch", "transformers")):
        return None
    needed = LIBRARIES + COPIES * sum(file.stat().st_size for file in spec.path.glob("*.safetensors"))
    free = container.memory_free()
    if free is not None and free < needed:
        log.warning("not converted for OpenVINO: that needs %d MiB and %d are free", needed >> 20, free >> 20)
        return None
    try:
        return _made(spec, folder)
    except (ClassifierError, OSError, RuntimeError) as error:
        log.warning("not converted for OpenVINO: %s", error)
        return None


def key(spec: ModelSpec) -> str:
    """Of all that decides whether an export can be read: replicas of two versions may share the folder."""
    return f"{fingerprint(spec.path)}-{LAYOUT}-{version('openvino')}"


def _made(spec: ModelSpec, folder: Path) -> Path | None:
    refused = folder.with_name(f"{folder.name}.refused.txt")
    # A pod's name is its host's: where converting takes a container down, it is not tried in it again, and again.
    begun = folder.with_name(f"{folder.name}.begun-by-{socket.gethostname()}")
    for file in (refused, begun):
        if file.is_file():
            log.warning("not converted for OpenVINO: refused earlier, or not ended; delete %s to try again", file)
            return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    begun.touch()
    try:
        child.run(_export, spec, folder)
    except ClassifierError as error:  # of the model, and not of today
        refused.write_text(f"{error}\n", encoding="utf-8")
        raise
    finally:
        begun.unlink(missing_ok=True)
    return folder


def _export(spec: ModelSpec, folder: Path) -> None:
    from classifier_runtime.export import SCRATCH, export, sweep  # noqa: PLC0415 - torch stays in the child

    sweep(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=SCRATCH) as scratch:
        made = Path(scratch) / "made"
        export(
            spec.path,
            made,
            task=spec.task,
            trust_remote_code=spec.remote_code,
            allow_pickle=spec.weights == "pickle",
            timed=False,
        )
        try:
            made.rename(folder)
        except OSError:
            if not (folder / OPENVINO).is_file():  # else another process was first, with the same
                raise
