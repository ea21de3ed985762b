"""Any model that transformers can load: a batch is padded to its longest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from classifier_runtime.backends import arrays, torch_model
from classifier_runtime.core.job import Floats, Item
from classifier_runtime.errors import ModelRefused
from classifier_runtime.families import SAME_ENDS
from classifier_runtime.model import ModelSpec


class TorchPadded:
    """`backends.base.Backend` by torch, as transformers itself runs a model."""

    def __init__(
        self, spec: ModelSpec, *, device: str = "cpu", dtype: str = "float32", threads: int | None = None
    ) -> None:
        """:raises ModelRefused: weights that cannot be loaded, or no padding where the model needs one"""
        if spec.pad_id is None and spec.task != "image-classification":
            raise ModelRefused(
                f"{spec.path}: no pad_token_id, without which texts cannot share a batch; "
                "write into config.json the one that the model was fine-tuned with"
            )
        self._spec = spec
        self._model: Any = torch_model.load(spec, device=device, dtype=dtype, threads=threads)

    @property
    def name(self) -> str:
        return "torch-padded"

    @property
    def device(self) -> str:
        return str(self._model.device)

    @property
    def dtype(self) -> str:
        return str(self._model.dtype).removeprefix("torch.")

    @property
    def classes(self) -> int:
        return int(self._model.config.num_labels)

    def forward(self, items: Sequence[Item]) -> Sequence[Floats]:
        arrays.check(self._spec, items)
        if self._spec.task == "image-classification":
            return list(torch_model.logits(self._model, arrays.images(items)))
        if self._spec.model_type not in SAME_ENDS:
            return self._texts(items)
        # A pair has more end-of-text tokens than a text, and such models want as many in each row.
        end = self._spec.config.get("eos_token_id")
        groups: dict[int, list[int]] = {}
        for place, item in enumerate(items):
            groups.setdefault(int((item.arrays["input_ids"] == end).sum()), []).append(place)
        found: dict[int, Floats] = {}
        for places in groups.values():
            found |= zip(places, self._texts([items[place] for place in places]), strict=True)
        return [found[place] for place in range(len(items))]

    def _texts(self, items: Sequence[Item]) -> list[Floats]:
        counts = arrays.lengths(items)
        batch = arrays.pad(self._spec, items, max(counts))
        logits = torch_model.logits(self._model, batch)
        return arrays.unpad(self._spec, counts, logits)

    def cost(self, items: int, longest: int, tokens: int) -> int:
        return items * longest
