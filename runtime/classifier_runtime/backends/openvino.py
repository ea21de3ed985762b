"""Exported models on the CPU, by OpenVINO: no torch is imported."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import openvino

from classifier_runtime.backends import arrays, layouts
from classifier_runtime.core.job import Floats, Item
from classifier_runtime.errors import ModelFailed, ModelRefused, OutOfMemory
from classifier_runtime.model import ModelSpec

log = logging.getLogger(__name__)

HINTS: Final = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


class OpenVino:
    """`backends.base.Backend` by OpenVINO."""

    def __init__(self, spec: ModelSpec, file: Path, *, dtype: str = "float32", threads: int | None = None) -> None:
        """:param file: `openvino_model.xml`, with its .bin beside it
        :raises ModelRefused: a file that is none, or is of another model
        """
        # The default is bfloat16 where the CPU has it, which costs two digits and here and there is slower.
        properties: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": HINTS[dtype],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = openvino.Core().compile_model(file, "CPU", properties)
        except RuntimeError as error:
            raise ModelRefused(
                f"{file}: OpenVINO {openvino.__version__} cannot load it; export it again ({error})"
            ) from error
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        threads = compiled.get_property("INFERENCE_NUM_THREADS")
        log.info("openvino version=%s precision=%s threads=%s", openvino.__version__, precision, threads)
        if precision != HINTS[dtype]:
            raise ModelRefused(f"{file}: OpenVINO computes in {precision} and was asked for {HINTS[dtype]}")
        self._spec = spec
        layout = layouts.of(spec, {one.get_any_name() for one in compiled.inputs})
        classes = compiled.output(0).get_partial_shape()[-1]
        if layout is None or classes.is_dynamic:
            raise ModelRefused(f"{file} was not exported by this runtime; export it again")
        self._layout = layout
        self._names = [one.get_any_name() for one in compiled.inputs]
        self._classes = classes.get_length()
        self._request = compiled.create_infer_request()

    @property
    def name(self) -> str:
        return "openvino"

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def classes(self) -> int:
        return int(self._classes)

    def forward(self, items: Sequence[Item]) -> Sequence[Floats]:
        arrays.check(self._spec, items)
        batch = self._layout.inputs(items)
        return self._layout.outputs(items, self._infer({name: batch[name] for name in self._names}))

    def cost(self, items: int, longest: int, tokens: int) -> int:
        return self._layout.cost(items, longest, tokens)

    def _infer(self, batch: layouts.Inputs) -> Floats:
        try:
            self._request.infer(batch, share_inputs=True)
        except MemoryError as error:
            raise OutOfMemory("not enough memory for this batch") from error
        except RuntimeError as error:
            raise ModelFailed("the model failed; the log says why") from error
        # A copy: the next batch is written over what the request holds.
        return np.array(self._request.get_output_tensor(0).data, np.float32)
