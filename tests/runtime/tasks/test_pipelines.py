"""From text or image to answer, in one batch, by every family and every backend: what `transformers.pipeline` answers.

Other tests compare tasks and backends each for themselves, in more corners; here is what a request goes through.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO
from typing import Any, Final

import pytest
from PIL import Image

from classifier_runtime.backends.base import Backend
from classifier_runtime.backends.openvino import OpenVino
from classifier_runtime.backends.torch_packed import TorchPacked
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.checkpoint import OPENVINO
from classifier_runtime.core.job import Classified, Instance, Outcome, Tagged, Token
from classifier_runtime.model import read
from tests.runtime import exported, tiny
from tests.runtime.tasks.answers import options, pipeline, same, spec, task
from tests.runtime.tasks.test_image import file, picture

pytestmark = pytest.mark.filterwarnings("ignore:Tokenizer does not support real words:UserWarning")

TEXTS: Final = (
    "good film",
    "Angela Merkel, Peter  Smith and Mary\nwent to Berlin; 東京 🎉 ☃ Straße",
    "the plot was awful and boring " * 40,  # longer than the models take
    "x",
)
PAIR: Final = ("the hotel was quite nice", "an awful book")
IMAGES: Final = tuple(
    file(picture(mode, width, height), kind)
    for mode, kind, width, height in (("RGB", "PNG", 50, 40), ("CMYK", "JPEG", 64, 20), ("RGBA", "WEBP", 33, 90))
)
# RUNTIME_API's families, whatever they are served for.
PACKED: Final = ("bert", "roberta", "distilbert", "electra", "xlm-roberta", "albert")
TOKENS: Final = (*tiny.TOKEN, "distilbert-token", "electra-token", "xlm-roberta-token", "albert-token")
NAMES: Final = (*tiny.SEQUENCE, *tiny.DECODERS, *TOKENS, *tiny.VISION, "nli")
WAYS: Final = [
    *[(name, "torch-padded") for name in NAMES],
    *[(name, "torch-packed") for name in (*PACKED, *(f"{name}-token" for name in PACKED), "nli")],
    *[(name, "openvino") for name in (*tiny.SEQUENCE, *tiny.VISION, "bert-token", "modernbert-token", "nli")],
]


@cache
def backend(name: str, kind: str) -> Backend:
    if kind == "openvino":
        folder = exported.folder(name)
        return OpenVino(read(folder), folder / OPENVINO, threads=1)
    return (TorchPacked if kind == "torch-packed" else TorchPadded)(spec(name))


def answers(name: str, kind: str, given: Sequence[Instance], asked: Sequence[dict[str, Any]]) -> list[list[Outcome]]:
    """Of one batch, as each of some options has them, which change nothing of what is computed."""
    used = task(name)
    given = [replace(one, options=options(**asked[0])) for one in given]
    encoded = used.encode(given)
    logits = backend(name, kind).forward(encoded.items)
    found = []
    for said in asked:
        instances = [replace(one, options=options(**said)) for one in given]
        for instance in instances:
            used.check(instance)
        found.append(list(used.decode(instances, encoded, logits)))
    return found


@cache
def theirs(name: str, said: str, of: str = "") -> Any:
    """The pipeline's answers on all that it is given, once for all backends.

    :param said: its options as JSON, for the cache
    """
    if name in tiny.VISION:
        return [pipeline(name)(Image.open(BytesIO(one)), **json.loads(said)) for one in IMAGES]
    return [pipeline(name, of)(text, **json.loads(said)) for text in TEXTS]


def chosen(found: Outcome) -> list[dict[str, Any]]:
    assert isinstance(found, Classified)
    return [{"label": one.label, "score": one.score} for one in found.chosen]


def tagged(found: Outcome) -> list[dict[str, Any]]:
    assert isinstance(found, Tagged)
    return [
        {
            **({"entity": one.label, "index": one.index} if isinstance(one, Token) else {"entity_group": one.label}),
            "score": one.score,
            "word": one.word,
            "start": one.start,
            "end": one.end,
        }
        for one in found.found
    ]


def ways(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "kind"), [way for way in WAYS if way[0] in names])


@ways(*tiny.SEQUENCE, *tiny.DECODERS, "nli")
def test_texts(name: str, kind: str) -> None:
    asked: list[dict[str, Any]] = [
        {"top_k": None},
        {"top_k": 1},
        {"top_k": 2, "function_to_apply": "sigmoid"},
        {"top_k": 99, "function_to_apply": "softmax"},
        {"top_k": None, "function_to_apply": "none"},
    ]
    given = [Instance(options(), text=text) for text in TEXTS]
    for said, found in zip(asked, answers(name, kind, given, asked), strict=True):
        for one, expected in zip(found, theirs(name, json.dumps({**said, "truncation": True})), strict=True):
            same(chosen(one), expected)


@ways(*tiny.SEQUENCE, "nli")
def test_pairs_among_texts(name: str, kind: str) -> None:
    given = [Instance(options(), text=TEXTS[0]), Instance(options(), text=PAIR[0], text_pair=PAIR[1])]
    [[_, found]] = answers(name, kind, given, [{"top_k": None}])
    same(chosen(found), pipeline(name)({"text": PAIR[0], "text_pair": PAIR[1]}, top_k=None))


@ways(*TOKENS)
def test_tokens_and_entities(name: str, kind: str) -> None:
    asked: list[dict[str, Any]] = [
        {"id2label": True},
        {"id2label": True, "ignore_labels": []},
        *[{"aggregation_strategy": one} for one in ("simple", "first", "average", "max")],
        {"aggregation_strategy": "simple", "ignore_labels": ["O", "PER"]},
    ]
    given = [Instance(options(), text=text) for text in TEXTS]
    for said, found in zip(asked, answers(name, kind, given, asked), strict=True):
        words = {key: value for key, value in said.items() if key != "id2label"}
        for one, expected in zip(found, theirs(name, json.dumps(words)), strict=True):
            same(tagged(one), expected)


@ways("bert-token", "modernbert-token", "roberta-token")
def test_entities_of_windows(name: str, kind: str) -> None:
    said = {"aggregation_strategy": "first", "stride": 40}
    given = [Instance(options(), text=text) for text in TEXTS]
    [found] = answers(name, kind, given, [said])
    for one, expected in zip(found, theirs(name, json.dumps(said)), strict=True):
        same(tagged(one), expected)


@ways("nli")
@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("template", ["This example is {}.", "about {}"])
def test_candidates(name: str, kind: str, multi_label: bool, template: str) -> None:
    said = {"candidate_labels": ["sport", "politics, and more", "food"], "multi_label": multi_label}
    said["hypothesis_template"] = template
    given = [Instance(options(), text=text) for text in TEXTS]
    [found] = answers(name, kind, given, [said])
    for one, expected in zip(found, theirs(name, json.dumps(said), "zero-shot-classification"), strict=True):
        pairs = zip(expected["labels"], expected["scores"], strict=True)
        same(chosen(one), [{"label": label, "score": score} for label, score in pairs])


@ways(*tiny.VISION)
def test_images(name: str, kind: str) -> None:
    asked: list[dict[str, Any]] = [
        {"top_k": 5},
        {"top_k": 2, "function_to_apply": "sigmoid"},
        {"top_k": 5, "function_to_apply": "none"},
    ]
    given = [Instance(options(), image=image) for image in IMAGES]
    for said, found in zip(asked, answers(name, kind, given, asked), strict=True):
        for one, expected in zip(found, theirs(name, json.dumps(said)), strict=True):
            same(chosen(one), expected)
