"""Models whose answers were recorded: the same on every machine, to the bit.

torch's random numbers may be others with its next version, and what it computes with them differs from CPU to CPU. So
each weight is drawn by NumPy's frozen generator (NEP 19), as a uniform number, which is made of bits alone; each tensor
from a seed of its own name's, so that their order means nothing. `print_of` says in one number what was drawn.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.runtime import tiny_tokenizers

MAX_TOKENS: Final = 64
TAGS: Final = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

_SIZES: Final = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": MAX_TOKENS,
}
# RoBERTa counts positions from the padding id + 1, which is 2: with two more there is place for MAX_TOKENS.
_ROBERTA: Final = {**_SIZES, "max_position_embeddings": MAX_TOKENS + 2, "type_vocab_size": 1}
# model_type: transformers' name of the class, kind of tokenizer, its class where KServe's flags mean something to it
_FAMILIES: Final[Mapping[str, tuple[str, str, str | None, Mapping[str, Any]]]] = {
    "bert": ("Bert", "wordpiece", "BertTokenizer", _SIZES),
    "roberta": ("Roberta", "bytes", None, _ROBERTA),
    "distilbert": (
        "DistilBert",
        "wordpiece-plain",
        "DistilBertTokenizer",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": MAX_TOKENS},
    ),
    "xlm-roberta": ("XLMRoberta", "unigram", None, _ROBERTA),
    "electra": ("Electra", "wordpiece", None, {**_SIZES, "embedding_size": 16}),
    "albert": ("Albert", "unigram-bert", None, {**_SIZES, "embedding_size": 16}),
    "mpnet": ("MPNet", "wordpiece-mpnet", None, {**_SIZES, "max_position_embeddings": MAX_TOKENS + 2}),
    "deberta-v2": (
        "DebertaV2",
        "unigram-bert",
        None,
        {
            **_SIZES,
            "relative_attention": True,
            "position_buckets": 16,
            "max_relative_positions": -1,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
    ),
    "xlnet": ("XLNet", "unigram-bert", None, {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}),
    "llama": ("Llama", "bytes-decoder", None, {**_SIZES, "num_key_value_heads": 2}),
}


_HEADS: Final = ("classifier.", "logits_proj.", "score.")


@dataclass(frozen=True)
class Model:
    """:param seed: chosen so that no two of the recorded classes are near each other
    :param says: what else its config.json says
    """

    model_type: str
    labels: tuple[str, ...]
    tokens: bool = False
    cased: bool = False
    seed: int = 0
    dtype: str = "float32"
    says: Mapping[str, Any] = field(default_factory=dict)


def _classes(count: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(count))


MODELS: Final[Mapping[str, Model]] = {
    "bert": Model("bert", _classes(3), seed=36),
    "bert-cased": Model("bert", _classes(3), cased=True, seed=36),
    "bert-half": Model("bert", _classes(3), seed=36, dtype="float16"),
    "roberta": Model("roberta", _classes(2)),
    "distilbert": Model("distilbert", _classes(12), seed=2),
    "xlm-roberta": Model("xlm-roberta", _classes(3), seed=8),
    "electra": Model("electra", _classes(3), seed=13),
    "albert": Model("albert", _classes(3), seed=21),
    "mpnet": Model("mpnet", _classes(3), seed=39),
    "deberta-v2": Model("deberta-v2", _classes(3)),
    "xlnet": Model("xlnet", _classes(3), seed=35),
    "llama": Model("llama", _classes(3), seed=10),
    "multi-label": Model("bert", _classes(4), says={"problem_type": "multi_label_classification"}, seed=10),
    "regression": Model("bert", _classes(1), says={"problem_type": "regression"}),
    "regression-2": Model("bert", _classes(2), says={"problem_type": "regression"}, seed=15),
    "bert-token": Model("bert", TAGS, tokens=True, cased=True, seed=100),
    "roberta-token": Model("roberta", TAGS, tokens=True, seed=73),
    "distilbert-token": Model("distilbert", TAGS, tokens=True, cased=True, seed=18),
    "xlm-roberta-token": Model("xlm-roberta", TAGS, tokens=True, seed=19),
    "deberta-v2-token": Model("deberta-v2", TAGS, tokens=True, seed=45),
    "xlnet-token": Model("xlnet", TAGS, tokens=True, seed=92),
}


@cache
def folder(name: str) -> Path:
    """Of a model of `MODELS`, as the Hub has it. Everybody's: read it."""
    said = hashlib.sha256(Path(__file__).read_bytes() + Path(tiny_tokenizers.__file__).read_bytes()).hexdigest()[:12]
    found = Path(tempfile.gettempdir()) / f"recorded-classifiers-{os.getuid()}-{said}" / name
    if not found.exists():
        found.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=found.parent) as scratch:
            _make(MODELS[name], Path(scratch) / name)
            try:
                (Path(scratch) / name).rename(found)
            except OSError:  # another process was first: its files are the same
                assert found.exists()
    return found


def print_of(name: str) -> str:
    """A hash of the weights and of the tokenizer, whatever the files are like that they are in."""
    said = hashlib.sha256((folder(name) / "tokenizer.json").read_bytes())
    for key, weights in sorted(load_file(folder(name) / "model.safetensors").items()):
        said.update(key.encode() + weights.tobytes())
    return said.hexdigest()[:16]


def _make(model: Model, where: Path) -> None:
    import torch
    import transformers

    prefix, kind, tokenizer_class, sizes = _FAMILIES[model.model_type]
    tokenizer = tiny_tokenizers.make(kind, cased=model.cased)
    if model.model_type == "xlnet":
        tokenizer = _at_the_end(tokenizer)
    tokenizer.save(where, MAX_TOKENS)
    if tokenizer_class is not None:
        _write(where / "tokenizer_config.json", tokenizer_class=tokenizer_class, do_lower_case=not model.cased)
    config = transformers.AutoConfig.for_model(
        model.model_type,
        **sizes,
        **model.says,
        vocab_size=tokenizer.size,
        pad_token_id=tokenizer.pad,
        id2label=dict(enumerate(model.labels)),
        label2id={label: number for number, label in enumerate(model.labels)},
        **tokenizer.special_ids,
        dtype=model.dtype,
    )
    purpose = "TokenClassification" if model.tokens else "SequenceClassification"
    with torch.device("meta"):
        classifier = getattr(transformers, f"{prefix}For{purpose}")(config)
    config.architectures = [type(classifier).__name__]
    config.save_pretrained(where)
    save_file(
        {
            key: _drawn(key, tuple(one.shape), model.seed).astype(model.dtype)
            for key, one in classifier.state_dict().items()
        },
        where / "model.safetensors",
        metadata={"format": "pt"},
    )


def _at_the_end(made: tiny_tokenizers.Made) -> tiny_tokenizers.Made:
    """XLNet's special tokens stand behind the text, and its padding before it."""
    from tokenizers.processors import TemplateProcessing

    names = ("[CLS]", "[SEP]")
    made.tokenizer.post_processor = TemplateProcessing(
        single="$A:0 [SEP]:0 [CLS]:2",
        pair="$A:0 [SEP]:0 $B:1 [SEP]:1 [CLS]:2",
        special_tokens=[(name, made.tokenizer.token_to_id(name)) for name in names],
    )
    return replace(made, words={**made.words, "padding_side": "left"})


def _drawn(key: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Wide enough that each text has logits of its own; a norm's weights are about 1."""
    uniform = 2 * np.random.RandomState((crc32(key.encode()) + seed) % 2**32).random_sample(shape) - 1
    if len(shape) == 1:
        uniform = uniform * 0.1 + (1.0 if key.endswith("orm.weight") else 0.0)
    else:
        uniform *= 1.0 if key.startswith(_HEADS) else 0.5
    return uniform.astype(np.float32)


def _write(file: Path, **said: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **said}, indent=2), encoding="utf-8")
