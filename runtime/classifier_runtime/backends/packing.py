"""Attention within segments: many texts in one row, without padding.

A batch of texts is one row [1, T]; each text is a segment of it that sees itself only. What a text's padding would cost
is nothing then. transformers calls our function in place of its own (`AttentionInterface`) and passes `segments` on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import Any, Final

import torch
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface

NAME: Final = "classifier_runtime_packed"


@dataclass(frozen=True, slots=True)
class Segments:
    """Where each text is in the row.

    :param lengths: of the texts, in the row's order
    :param starts: on the model's device, int32 [n + 1]; the last one is the row's length
    """

    lengths: Sequence[int]
    starts: torch.Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> Segments:
        starts = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
        return cls(lengths, starts.to(device))

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Neighbours of one length: how many, the length, and where they begin; one call computes them all."""
        begin = 0
        for length, group in groupby(self.lengths):
            count = len(list(group))
            yield count, length, begin
            begin += count * length


def register() -> None:
    """Idempotent; a process that serves packed has it, whatever the model."""
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    segments: Segments,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Of [1, heads, T, width], as [1, T, heads, width]."""
    if query.is_cuda:
        return _on_cuda(query, key, value, segments, scaling), None
    heads, width = query.shape[1], query.shape[3]
    found = torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
    for count, length, begin in segments.runs():
        place = slice(begin, begin + count * length)
        q, k, v = (
            part[0, :, place].reshape(heads, count, length, width).transpose(0, 1) for part in (query, key, value)
        )
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=scaling)
        found[0, place] = out.transpose(1, 2).reshape(count * length, heads, width)
    return found, None


def _on_cuda(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments, scaling: float | None
) -> torch.Tensor:
    """One kernel for all segments; half precision only."""
    q, k, v = (part[0].transpose(0, 1).contiguous() for part in (query, key, value))
    longest = max(segments.lengths)
    found = varlen_attn(q, k, v, segments.starts, segments.starts, longest, longest, scale=scaling)
    assert isinstance(found, torch.Tensor)
    return found[None]


def first_rows(segments: Segments) -> torch.Tensor:
    """Where each text begins: what a sequence is classified by."""
    return segments.starts[:-1].long()


def cut(rows: Any, lengths: Sequence[int]) -> list[Any]:
    """[T, C] into each text's own."""
    return [rows[begin:end] for begin, end in pairwise([0, *accumulate(lengths)])]
