"""Tiny random models of every family, made offline, the same in every run.

    tiny.model("bert")                  # a folder as the Hub has it: weights, config.json, tokenizer.json
    tiny.variant("bert", id2label=…)    # the same model with another config.json, in a folder of the caller's

Each is made once and kept in the temporary folder under the hash of this file and of the libraries' versions, so that
the next process finds it and imports no torch. Weights are drawn wide and the head is scaled to logits of about ±2 that
differ between texts: with the libraries' own initialisation every text has nearly the same logits, and a wrong mask or
position would not be seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tests.runtime import tiny_tokenizers

SEED: Final = 20
HIDDEN: Final = 32
MAX_TOKENS: Final = 128

CLASSES: Final = ("NEGATIVE", "NEUTRAL", "POSITIVE")
TAGS: Final = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
NLI: Final = ("contradiction", "neutral", "entailment")
ANIMALS: Final = ("cat", "dog", "bird", "fish")

_BERT: Final = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": MAX_TOKENS,
}
# RoBERTa counts positions from the padding id + 1, which is 2.
_ROBERTA: Final = {**_BERT, "max_position_embeddings": MAX_TOKENS + 2, "type_vocab_size": 1}
_DECODER: Final = {**_BERT, "num_key_value_heads": 2}
_VISION: Final = {**_BERT, "image_size": 32, "patch_size": 8}

# family: (model_type, its class without what it is for, kind of tokenizer, configuration)
_FAMILIES: Final[Mapping[str, tuple[str, str, str, Mapping[str, Any]]]] = {
    "bert": ("bert", "Bert", "wordpiece", _BERT),
    "roberta": ("roberta", "Roberta", "bytes", _ROBERTA),
    "distilbert": (
        "distilbert",
        "DistilBert",
        "wordpiece-plain",
        {"dim": HIDDEN, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": MAX_TOKENS},
    ),
    "electra": ("electra", "Electra", "wordpiece", {**_BERT, "embedding_size": 16}),
    "deberta-v2": (
        "deberta-v2",
        "DebertaV2",
        "unigram-bert",
        {
            **_BERT,
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
    # A window of 16 tokens in every other layer: packing that forgets it is wrong on texts longer than that.
    "modernbert": (
        "modernbert",
        "ModernBert",
        "bytes-bert",
        {**_BERT, "local_attention": 16, "global_attn_every_n_layers": 2},
    ),
    "xlm-roberta": ("xlm-roberta", "XLMRoberta", "unigram", _ROBERTA),
    "albert": ("albert", "Albert", "unigram-bert", {**_BERT, "embedding_size": 16}),
    "mpnet": ("mpnet", "MPNet", "wordpiece-mpnet", {**_BERT, "max_position_embeddings": MAX_TOKENS + 2}),
    "llama": ("llama", "Llama", "bytes-decoder", _DECODER),
    "gpt2": ("gpt2", "GPT2", "bytes-decoder", {"n_embd": HIDDEN, "n_layer": 2, "n_head": 4, "n_positions": MAX_TOKENS}),
    "vit": ("vit", "ViT", "", _VISION),
    "swin": (
        "swin",
        "Swin",
        "",
        {"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4},
    ),
    "convnext": (
        "convnext",
        "ConvNext",
        "",
        {"image_size": 32, "hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2},
    ),
}

SEQUENCE: Final = (
    "bert",
    "roberta",
    "distilbert",
    "electra",
    "deberta-v2",
    "modernbert",
    "xlm-roberta",
    "albert",
    "mpnet",
)
TOKEN: Final = ("bert-token", "roberta-token", "deberta-v2-token", "modernbert-token")
VISION: Final = ("vit", "swin", "convnext")
DECODERS: Final = ("llama", "gpt2")
# All that is no plain classifier of three classes, as (family, what for, labels, what else config.json says).
_SPECIAL: Final[Mapping[str, tuple[str, str, tuple[str, ...], Mapping[str, Any]]]] = {
    **{name: (name.removesuffix("-token"), "TokenClassification", TAGS, {}) for name in TOKEN},
    **{name: (name, "ImageClassification", ANIMALS, {}) for name in VISION},
    "distilbert-token": ("distilbert", "TokenClassification", TAGS, {}),
    "electra-token": ("electra", "TokenClassification", TAGS, {}),
    "xlm-roberta-token": ("xlm-roberta", "TokenClassification", TAGS, {}),
    "albert-token": ("albert", "TokenClassification", TAGS, {}),
    "nli": ("bert", "SequenceClassification", NLI, {}),
    "multi-label": (
        "bert",
        "SequenceClassification",
        ("anger", "joy", "fear", "love"),
        {"problem_type": "multi_label_classification"},
    ),
    "regression": ("bert", "SequenceClassification", ("score",), {"problem_type": "regression"}),
    "regression-2": ("bert", "SequenceClassification", ("valence", "arousal"), {"problem_type": "regression"}),
    "one-label": ("bert", "SequenceClassification", ("relevant",), {}),
}
NAMES: Final = (*SEQUENCE, *DECODERS, *_SPECIAL)

# What people and programs write into config.json of a model with three classes.
ID2LABEL: Final[Mapping[str, Any]] = {
    "partial": {"0": "A", "2": "C"},
    "ints": {"0": 0, "1": 1, "2": 2},
    "duplicates": {"0": "same", "1": "same", "2": "other"},
    "non-contiguous": {"1": "A", "2": "B", "3": "C"},
    "unicode": {"0": "שלילי", "1": "😐 meh|\"x\": 'y'", "2": "e\u0301toile"},
    "default": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
    "list": ["A", "B", "C"],
}


@cache
def model(name: str) -> Path:
    """The folder of a model of NAMES. Shared by everyone: read it, and change a `variant`."""
    folder = _cache() / name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch) / name
            _make(name, made)
            try:
                made.rename(folder)
            except OSError:  # another process was first: its files are the same
                assert folder.exists()
    return folder


def variant(name: str, folder: Path, *, without: tuple[str, ...] = (), **config: Any) -> Path:
    """A copy with other words in config.json; a value of None takes the key out.

    :param folder: where to; made here
    :param without: names of files to leave out
    """
    shutil.copytree(model(name), folder, ignore=shutil.ignore_patterns(*without) if without else None)
    file = folder / "config.json"
    if file.exists():
        words = {**json.loads(file.read_text(encoding="utf-8")), **config}
        file.write_text(json.dumps({key: value for key, value in words.items() if value is not None}), encoding="utf-8")
    return folder


def _cache() -> Path:
    """By user, too: the temporary folder is everybody's."""
    said = hashlib.sha256()
    for file in (__file__, tiny_tokenizers.__file__):
        said.update(Path(file).read_bytes())
    for package in ("transformers", "tokenizers", "torch"):
        said.update(version(package).encode())
    return Path(tempfile.gettempdir()) / f"tiny-classifiers-{os.getuid()}-{said.hexdigest()[:12]}"


def _make(name: str, folder: Path) -> None:
    import torch
    import transformers

    family, purpose, labels, more = _SPECIAL.get(name, (name, "SequenceClassification", CLASSES, {}))
    model_type, prefix, tokenizer, words = _FAMILIES[family]
    said = {
        **words,
        **more,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: n for n, label in enumerate(labels)},
    }
    if tokenizer:
        made = tiny_tokenizers.make(tokenizer, cased=purpose == "TokenClassification")
        made.save(folder, MAX_TOKENS)
        said |= {"vocab_size": made.size, "pad_token_id": made.pad, **made.special_ids}
    config = transformers.AutoConfig.for_model(model_type, **said)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        classifier = getattr(transformers, f"{prefix}For{purpose}")(config).eval()
        _widen(classifier)
        _scale(classifier, _sample(classifier, made.size if tokenizer else 0))
    classifier.save_pretrained(folder)
    # safetensors writes 0600, which a container's other user could not read.
    (folder / "model.safetensors").chmod(0o644)
    if not tokenizer:
        _preprocessor(folder)


def _widen(classifier: Any) -> None:
    import torch

    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.dim() >= 2:
                parameter.normal_(0, 0.3)


def _sample(classifier: Any, vocabulary: int) -> Callable[[], Any]:
    """Logits [n, C] of random input, n a few hundred."""
    import torch

    if vocabulary:
        ids = torch.randint(10, vocabulary, (64, 12))
        return lambda: classifier(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.flatten(0, -2)
    pixels = torch.randn(64, 3, 32, 32)
    return lambda: classifier(pixel_values=pixels).logits


def _scale(classifier: Any, logits: Callable[[], Any]) -> None:
    """The last linear layer gives each class a mean of 0 and a deviation of 2 over the sample."""
    import torch

    heads = [layer for layer in classifier.modules() if isinstance(layer, torch.nn.Linear)]
    head = [layer for layer in heads if layer.out_features == classifier.config.num_labels][-1]
    with torch.no_grad():
        found = logits()
        factor = 2 / found.std(0)
        head.weight.mul_(factor[:, None])
        if head.bias is not None:
            head.bias.copy_((head.bias - found.mean(0)) * factor)


def _preprocessor(folder: Path) -> None:
    said = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(said, indent=2), encoding="utf-8")
