"""Models of the allow-list, without padding: the texts of a batch in one row, attention within each.

Packing is right where every layer but attention looks at one token only, attention has no window and no bias of
position, and positions are an input. Those families are listed (`families.PACKABLE`); what a listed model does is
compared with its padded self at start, token for token.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from classifier_runtime.backends import arrays, layouts, packing, torch_model
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.core.job import Floats, Item
from classifier_runtime.errors import ModelRefused
from classifier_runtime.families import PACKABLE
from classifier_runtime.model import ModelSpec

log = logging.getLogger(__name__)

# Of the largest hidden state: float32 sums in another order; bfloat16 has 8 bits, and the layers add it up.
TOLERANCE: Final = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


class TorchPacked(TorchPadded):
    """`backends.base.Backend` by torch, padding-free."""

    def __init__(
        self, spec: ModelSpec, *, device: str = "cpu", dtype: str = "float32", threads: int | None = None
    ) -> None:
        """:raises ModelRefused: a model that packing is not proved right for, or was just found wrong for"""
        reason = refusal(spec, device, dtype)
        if reason:
            raise ModelRefused(f"{spec.path}: packed attention: {reason}; use the padded backend")
        super().__init__(spec, device=device, dtype=dtype, threads=threads)
        self._padded_attention = self._model.config._attn_implementation  # noqa: SLF001 - it has no other name
        self._checking: list[torch.Tensor] | None = None
        body = self._model.base_model
        encoder = body.transformer if hasattr(body, "transformer") else body.encoder
        encoder.register_forward_hook(self._after_encoder, with_kwargs=True)
        packing.register()
        self._check()

    @property
    def name(self) -> str:
        return "torch-packed"

    def forward(self, items: Sequence[Item]) -> Sequence[Floats]:
        padded = [place for place, item in enumerate(items) if "attention_mask" in item.arrays]
        if not padded:
            return self._packed(items)
        # Padded by their task, which wants answers on the padding too: the others are not made to wait for theirs.
        found = dict(zip(padded, self._as_padded([items[place] for place in padded]), strict=True))
        rest = [place for place in range(len(items)) if place not in found]
        if rest:
            found |= zip(rest, self._packed([items[place] for place in rest]), strict=True)
        return [found[place] for place in range(len(items))]

    def _as_padded(self, items: Sequence[Item]) -> Sequence[Floats]:
        self._model.set_attn_implementation(self._padded_attention)
        try:
            return super().forward(items)
        finally:
            self._model.set_attn_implementation(packing.NAME)

    def _packed(self, items: Sequence[Item]) -> Sequence[Floats]:
        arrays.check(self._spec, items)
        counts = arrays.lengths(items)
        # Equal lengths side by side are one call of attention.
        order = sorted(range(len(items)), key=counts.__getitem__)
        logits = self._row([items[place] for place in order])
        lengths = [counts[place] for place in order]
        rows = packing.cut(logits[0], lengths) if self._spec.task == "token-classification" else list(logits)
        found = dict(zip(order, rows, strict=True))
        return [found[place] for place in range(len(items))]

    def cost(self, items: int, longest: int, tokens: int) -> int:
        return tokens

    def _row(self, items: Sequence[Item]) -> Floats:
        """Of all texts in one row, in their order: [n, C], or [1, T, C] where tokens are classified."""
        batch = {
            name: np.concatenate([item.arrays.get(name, np.zeros_like(item.arrays["input_ids"])) for item in items])[
                None
            ]
            for name in self._spec.input_names
        }
        batch["position_ids"] = np.concatenate(
            [layouts.positions(self._spec, item.arrays["input_ids"]) for item in items]
        )[None]
        segments = packing.Segments.of(arrays.lengths(items), self._model.device)
        return torch_model.logits(self._model, batch, segments=segments)

    def _after_encoder(self, _: Any, __: Any, inputs: dict[str, Any], output: Any) -> Any:
        """The head takes the first place of each row: what it gets is n rows of one place."""
        segments = inputs.get("segments")
        if self._checking is not None:
            self._checking.append(output.last_hidden_state[0])
        if segments is not None and self._spec.task != "token-classification":
            output.last_hidden_state = output.last_hidden_state[0, packing.first_rows(segments)][:, None]
        return output

    def _check(self) -> None:
        """Every token's last hidden state, packed in two orders, is that of its text alone.

        :raises ModelRefused: they differ
        """
        texts = sample(self._spec)
        backward = texts[::-1]
        alone = [self._hidden([text]) for text in texts]
        self._model.set_attn_implementation(packing.NAME)
        if self._model.config._attn_implementation != packing.NAME:  # noqa: SLF001
            raise ModelRefused(f"{self._spec.path}: its attention cannot be replaced; use the padded backend")
        worst = 0.0
        for order, expected in ((texts, alone), (backward, alone[::-1])):
            found = self._hidden(order)
            reference = torch.cat(expected)
            worst = max(worst, float((found - reference).abs().max() / reference.abs().max()))
        allowed = TOLERANCE[self.dtype]
        log.info("packed attention differs from padded by %.1e of the largest, %.1e is allowed", worst, allowed)
        if not worst <= allowed:
            raise ModelRefused(f"{self._spec.path}: packed attention is off by {worst:.1e}; use the padded backend")

    def _hidden(self, texts: Sequence[Item]) -> torch.Tensor:
        """[T, hidden] of the encoder's, by whichever attention the model is set to."""
        self._checking = []
        try:
            if self._model.config._attn_implementation == packing.NAME:  # noqa: SLF001
                self._row(texts)
            else:
                super().forward(texts)
            return self._checking[0].float()
        finally:
            self._checking = None


def refusal(spec: ModelSpec, device: str, dtype: str) -> str | None:
    """Why a model cannot be packed; None where it can."""
    if spec.model_type not in PACKABLE or spec.remote_code or spec.task == "image-classification":
        return f"not proved right for {spec.model_type} models"
    if spec.config.get("position_embedding_type", "absolute") != "absolute" or spec.config.get("is_decoder"):
        return "only for encoders with absolute positions"
    if device.startswith("cuda") and dtype == "float32":
        return "CUDA has it in half precision only"
    return None


def sample(spec: ModelSpec) -> list[Item]:
    """Texts that would show a window, a position or a neighbour that is forgotten: longest, shortest, between."""
    random = np.random.default_rng(0)
    allowed = [number for number in range(int(spec.config["vocab_size"])) if number != spec.pad_id]
    longest = spec.max_tokens
    lengths = dict.fromkeys((longest, 1, max(1, longest // 2 + 1), min(17, longest)))
    return [Item({"input_ids": random.choice(allowed, length)}, length) for length in lengths]
