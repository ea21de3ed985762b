"""A tokenizer as a model's folder describes it: `tokenizer.json`, and what `tokenizer_config.json` says over it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import ByteLevel

from classifier_runtime.core.tokens import Tokenizer
from classifier_runtime.errors import ModelRefused


def load(file: Path, max_tokens: int) -> Tokenizer:
    """Of a `tokenizer.json`, with the `tokenizer_config.json` beside it, if there is one.

    :param max_tokens: the longest sequence that the model takes
    :raises ModelRefused: it cannot be read
    """
    try:
        raw = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises no narrower one, and may print what it read
        raise ModelRefused(f"{file} cannot be read as a tokenizer; copy it again, or save it anew") from error
    beside = file.with_name("tokenizer_config.json")
    said = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    _apply(raw, said)
    return Tokenizer(raw, max_tokens, _unknown(raw, said))


def _apply(raw: tokenizers.Tokenizer, said: Mapping[str, Any]) -> None:
    """What transformers takes from `tokenizer_config.json` where the two files differ.

    People switch lower-casing off there, and there only. Where it says nothing, `tokenizer.json` is right: transformers
    5 lower-cases then, which a model with capital letters in its vocabulary was not trained with.
    """
    normalizer = raw.normalizer
    if isinstance(normalizer, BertNormalizer):
        raw.normalizer = BertNormalizer(
            clean_text=normalizer.clean_text,
            handle_chinese_chars=said.get("tokenize_chinese_chars", normalizer.handle_chinese_chars),
            strip_accents=said.get("strip_accents", normalizer.strip_accents),
            lowercase=said.get("do_lower_case", normalizer.lowercase),
        )
    splitter = raw.pre_tokenizer
    if isinstance(splitter, ByteLevel) and "add_prefix_space" in said:
        splitter.add_prefix_space = bool(said["add_prefix_space"])
        raw.pre_tokenizer = splitter


def _unknown(raw: tokenizers.Tokenizer, said: Mapping[str, Any]) -> int | None:
    token = said.get("unk_token") or getattr(raw.model, "unk_token", None)
    if isinstance(token, Mapping):  # with its spaces and such
        token = token.get("content")
    return raw.token_to_id(token) if isinstance(token, str) else None
