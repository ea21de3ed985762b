"""Ours: the runtime, once with each backend."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.runtime.bench.server import NAME, Place, Server, predictions, v1
from tests.runtime.bench.subjects import Subject

RUNTIME: Final = Path(__file__).parents[3] / "runtime"


def _ours(name: str, backend: str, model: Callable[[Subject], Path], *, lossy: bool = False) -> Server:
    def command(place: Place) -> Sequence[str]:
        return [
            *(
                sys.executable,
                "-m",
                "classifier_runtime",
                f"--model_dir={model(place.subject)}",
                f"--model_name={NAME}",
            ),
            *("--host=127.0.0.1", f"--http_port={place.ports[0]}", "--enable_grpc=false", f"--backend={backend}"),
        ]

    return Server(
        name,
        f"ours, {name}, V1",
        None,
        command,
        f"/v1/models/{NAME}:predict",
        "/v2/health/live",
        v1,
        predictions,
        lambda: {"PYTHONPATH": os.pathsep.join((str(RUNTIME), os.environ.get("PYTHONPATH", "")))},
        lossy=lossy,
        model=model,
        engine=backend,
    )


OURS: Final = (
    _ours("openvino-fp32", "openvino", lambda subject: subject.openvino),
    _ours("openvino-int8", "openvino", lambda subject: subject.int8, lossy=True),
    _ours("torch-packed", "torch-packed", lambda subject: subject.plain),
)
