"""From torch to OpenVINO, by tracing; and whether what came of it answers as torch does, at other shapes too."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
import openvino
import torch

from classifier_runtime.backends import layouts, openvino_row
from classifier_runtime.backends.openvino import OpenVino
from classifier_runtime.backends.torch_packed import refusal
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.core.job import Item
from classifier_runtime.errors import ClassifierError, ModelRefused
from classifier_runtime.families import PIXELS_PER_TOKEN, SAME_ENDS
from classifier_runtime.model import ModelSpec

log = logging.getLogger(__name__)

# Between float32 logits of the same model: of the largest, sums in another order.
TOLERANCE: Final = 1e-4


class _Logits(torch.nn.Module):  # type: ignore[misc] # torch is Any where it is not installed
    """Logits only: of all that models return, tracing would make outputs."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(**dict(zip(self.names, values, strict=True))).logits
        return logits


def convert(spec: ModelSpec, file: Path) -> int:
    """Writes the model, and says how many classes it has.

    :raises ModelRefused: OpenVINO cannot, or its answers are others
    """
    if spec.model_type in SAME_ENDS:
        raise ModelRefused(
            f"{spec.path}: {spec.model_type} models are served by torch; OpenVINO fixes where a text ends"
        )
    reference = TorchPadded(spec)
    # What torch computes without padding, OpenVINO does as well.
    row = refusal(spec, "cpu", "float32") is None
    names, example, shapes = _row(spec) if row else _inputs(spec)
    sequences = spec.task != "token-classification"
    way = openvino_row.in_a_row(reference._model, sequences=sequences) if row else nullcontext()  # noqa: SLF001
    try:
        with torch.no_grad(), _quiet(), way:
            made = openvino.convert_model(_Logits(reference._model, names), example_input=example, input=shapes)  # noqa: SLF001
        for port, name in zip(made.inputs, names, strict=True):
            port.get_tensor().set_names({name})
        write(made, file)
        exported = OpenVino(spec, file)
        _compare(spec, reference, exported)
    except (ModelRefused, OSError):
        raise
    except Exception as error:  # tracing raises whatever the model's code does
        reason = str(error).strip().split("\n", 1)[0]
        raise ModelRefused(
            f"{spec.path}: OpenVINO cannot convert this {spec.model_type} model, torch serves it ({reason})"
        ) from error
    return reference.classes


def write(model: Any, file: Path, *, half: bool = False) -> None:
    """:param half: weights that are float32 become float16: the file is smaller, and the logits are not the model's
    :raises OSError: the disk is full, most likely; OpenVINO does not say
    """
    try:
        openvino.save_model(model, file, compress_to_fp16=half)
    except RuntimeError as error:
        free = shutil.disk_usage(file.parent).free >> 20
        raise OSError(f"{file} cannot be written, and {free} MiB are free there; make room ({error})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Tracing warns of every branch that it fixes; whether one matters is what the comparison finds.

    OpenVINO sets the root logger's level and handlers for itself: they are put back.
    """
    root = logging.getLogger()
    level, handlers, filters = root.level, root.handlers[:], root.filters[:]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
        root.handlers[:], root.filters[:] = handlers, filters


def _inputs(spec: ModelSpec) -> tuple[list[str], tuple[torch.Tensor, ...], list[tuple[Any, Any]]]:
    """Names, an example with padding in it (masks that are all ones are left out of a trace), and dynamic shapes."""
    if spec.task == "image-classification":
        height, width = image_size(spec)
        example = torch.randn(2, channels(spec), height, width)
        return ["pixel_values"], (example,), [(openvino.PartialShape([-1, *example.shape[1:]]), openvino.Type.f32)]
    names = [*spec.input_names, "attention_mask"]
    batch = {name: torch.zeros(2, 7, dtype=torch.long) for name in names}
    batch["attention_mask"] = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    batch["input_ids"] = torch.full((2, 7), spec.pad_id or 0) + batch["attention_mask"]
    shapes = [(openvino.PartialShape([-1, -1]), openvino.Type.i64)] * len(names)
    return names, tuple(batch[name] for name in names), shapes


def _row(spec: ModelSpec) -> tuple[list[str], tuple[torch.Tensor, ...], list[tuple[Any, Any]]]:
    """The same for texts in one row."""
    example = layouts.Row(spec).inputs(sample(spec, [7, 4, 9]))
    # A length of 1 is always 1: of the row's one line, and of what attention's scores have for heads and queries.
    shapes = [
        (
            openvino.PartialShape([1 if length == 1 else -1 for length in array.shape]),
            openvino.Type.f32 if name == "keys" else openvino.Type.i64,
        )
        for name, array in example.items()
    ]
    return list(example), tuple(torch.from_numpy(array) for array in example.values()), shapes


def image_size(spec: ModelSpec) -> tuple[int, int]:
    """As the model's own processor makes images; where that depends on the image, as the model was trained."""
    said = json.loads(spec.preprocessor.read_text(encoding="utf-8"))
    size = said.get("crop_size" if said.get("do_center_crop") else "size")
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    if isinstance(size, dict) and "shortest_edge" in size:
        size = size["shortest_edge"]
    size = size if isinstance(size, int) else spec.config.get("image_size", 224)
    return (int(size[0]), int(size[1])) if isinstance(size, list) else (int(size), int(size))


def channels(spec: ModelSpec) -> int:
    return int(spec.config.get("num_channels", 3))


def sample(spec: ModelSpec, lengths: Sequence[int]) -> list[Item]:
    """Random items, the same in every run: texts of these lengths, or as many images."""
    random = np.random.default_rng(0)
    if spec.task == "image-classification":
        height, width = image_size(spec)
        shape, tokens = (channels(spec), height, width), max(height * width // PIXELS_PER_TOKEN, 1)
        return [Item({"pixel_values": random.standard_normal(shape, np.float32)}, tokens) for _ in lengths]
    most = int(spec.config["vocab_size"])
    return [Item({"input_ids": random.integers(0, most, count)}, count) for count in lengths]


def _compare(spec: ModelSpec, reference: TorchPadded, exported: OpenVino) -> None:
    longest = spec.max_tokens or 1
    items = sample(spec, [min(count, longest) for count in (1, 3, 7, 18, 40, longest // 2 + 1, longest)])
    for batch in (items[:1], items[1:6], items[2:4], items[6:]):
        try:
            expected, found = reference.forward(batch), exported.forward(batch)
        except ClassifierError as error:
            raise ModelRefused(f"{spec.path}: OpenVINO's model fails at another shape; torch serves it") from error
        for one, other in zip(expected, found, strict=True):
            worst = float(np.abs(one - other).max())
            if one.shape != other.shape or not worst <= TOLERANCE * max(1.0, float(np.abs(one).max())):
                raise ModelRefused(f"{spec.path}: OpenVINO's logits are off by {worst:.1e}; torch serves it")
