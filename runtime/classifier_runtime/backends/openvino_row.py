"""A model of torch's as OpenVINO gets it to compute texts in one row (`layouts.Row`).

transformers calls our function in place of its own attention (`AttentionInterface`): it lays the row into a grid,
attends within each line, and takes the row back out. All else that the model does, it does with the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from transformers import AttentionInterface, AttentionMaskInterface

NAME: Final = "classifier_runtime_row"


@contextmanager
def in_a_row(model: Any, *, sequences: bool) -> Iterator[None]:
    """Meanwhile the model computes rows.

    :param sequences: are classified, by their first token; not each token
    """
    before = model.config._attn_implementation  # noqa: SLF001 - it has no other name
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)
    body = model.base_model
    encoder = body.transformer if hasattr(body, "transformer") else body.encoder
    hook = encoder.register_forward_hook(_first_rows, with_kwargs=True) if sequences else None
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
        if hook is not None:
            hook.remove()


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    grid: torch.Tensor,
    back: torch.Tensor,
    keys: torch.Tensor,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Of [1, heads, row, width], as [1, row, heads, width]."""
    heads, width = query.shape[1], query.shape[3]

    def lines(part: torch.Tensor) -> torch.Tensor:
        # A reshape, for it costs nothing; taking the first of one row would be another copy.
        return part.transpose(1, 2).reshape(-1, heads, width)[grid].transpose(1, 2)

    found = torch.nn.functional.scaled_dot_product_attention(
        lines(query), lines(key), lines(value), attn_mask=keys, scale=scaling
    )
    return found.transpose(1, 2).reshape(-1, heads, width).index_select(0, back)[None], None


def _first_rows(_: Any, __: Any, inputs: dict[str, Any], output: Any) -> Any:
    """The head takes the first place of each row: what it gets is a row of one place for each text."""
    output.last_hidden_state = output.last_hidden_state[0].index_select(0, inputs["first"])[:, None]
    return output
