"""`huggingface_hub.InferenceClient`, unmodified, gets from a tiny model what `transformers.pipeline` answers of it."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from PIL import Image

from tests.runtime.server.tiny_servers import Serve, serve
from tests.runtime.tasks.answers import pipeline, same
from tests.runtime.tasks.test_image import file, picture

__all__ = ["serve"]

TEXT = "Angela Merkel lives in Berlin, and the food was awful!"
LONG = " ".join([TEXT] * 20)


def plain(answer: Any) -> list[dict[str, Any]]:
    """Without what a pipeline does not answer."""
    return [{key: value for key, value in vars(one).items() if value is not None} for one in answer]


@pytest.mark.parametrize(
    "given", [{"top_k": 3}, {"top_k": 1}, {"top_k": 2, "function_to_apply": "sigmoid"}, {"function_to_apply": "none"}]
)
async def test_texts(serve: Serve, given: dict[str, Any]) -> None:
    client = await serve("bert")
    for text in (TEXT, LONG):
        async with AsyncInferenceClient(model=client.url) as official:
            answer = await official.text_classification(text, **given)
        expected = pipeline("bert")(text, truncation=True, **{"top_k": None, **given})
        same(plain(answer), expected)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"aggregation_strategy": "none", "ignore_labels": []},
        {"aggregation_strategy": "simple"},
        {"aggregation_strategy": "first", "ignore_labels": ["O", "PER"]},
        {"aggregation_strategy": "average", "ignore_labels": []},
        {"aggregation_strategy": "max", "stride": 20},
    ],
)
async def test_tokens(serve: Serve, given: dict[str, Any]) -> None:
    client = await serve("bert-token")
    for text in (TEXT, LONG):
        async with AsyncInferenceClient(model=client.url) as official:
            answer = await official.token_classification(text, **given)
        expected = pipeline("bert-token")(text, **given)
        known = set(vars(answer[0])) if answer else set()
        same(plain(answer), [{key: value for key, value in one.items() if key in known} for one in expected])


@pytest.mark.parametrize(
    "given",
    [{}, {"multi_label": True}, {"multi_label": True, "hypothesis_template": "about {}"}, {"multi_label": None}],
)
async def test_candidates(serve: Serve, given: dict[str, Any]) -> None:
    client = await serve("nli")
    labels = ["sport", "politics, and more", "food"]
    async with AsyncInferenceClient(model=client.url) as official:
        answer = await official.zero_shot_classification(TEXT, labels, **given)
    said = {key: value for key, value in given.items() if value is not None}
    expected = pipeline("nli", "zero-shot-classification")(TEXT, labels, **said)
    pairs = zip(expected["labels"], expected["scores"], strict=True)
    same(plain(answer), [{"label": label, "score": score} for label, score in pairs])


@pytest.mark.parametrize("given", [{}, {"top_k": 2}, {"top_k": 9, "function_to_apply": "sigmoid"}])
async def test_images(serve: Serve, tmp_path: Path, given: dict[str, Any]) -> None:
    client = await serve("vit")
    sent = file(picture())
    path = tmp_path / "cat.png"
    path.write_bytes(sent)
    expected = pipeline("vit")(Image.open(BytesIO(sent)), **{"top_k": 5, **given})
    for image in (sent, path, str(path)):
        with InferenceClient(model=client.url) as official:
            answer = await asyncio.to_thread(official.image_classification, image, **given)
        same(plain(answer), expected)
