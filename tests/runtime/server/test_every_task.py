"""What is wrong for the model at hand, or wrong with an image, by every protocol: tiny models, whole servers."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.runtime.server.carriers import ALL, Carrier
from tests.runtime.server.test_every_protocol import carrier, expected
from tests.runtime.server.tiny_servers import Serve, loaded, serve
from tests.runtime.tasks.test_image import claims, file, picture

__all__ = ["carrier", "serve"]

GOOD: dict[str, str | bytes] = {
    "bert": "good film",
    "nli": "good film",
    "bert-token": "Angela lives in Berlin",
    "vit": file(picture()),
}


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("bert", {"stride": 3}, "stride: it is for token classification"),
        ("bert", {"aggregation_strategy": "simple"}, "aggregation_strategy: entities are found by models for token"),
        ("bert", {"ignore_labels": "A"}, "ignore_labels: it is for token classification"),
        ("bert", {"candidate_labels": "a,b"}, "needs a model with a label that begins with `entail`"),
        ("bert", {"multi_label": True}, "multi_label: it is for zero-shot classification; give candidate_labels too"),
        ("nli", {"hypothesis_template": "so {}"}, "hypothesis_template: it is for zero-shot classification"),
        ("nli", {"candidate_labels": "a", "function_to_apply": "none"}, "function_to_apply: zero-shot has its own"),
        ("nli", {"candidate_labels": "good " * 500}, "second text alone has 504 tokens"),
        ("bert-token", {"top_k": 2}, "top_k: each token has one label"),
        ("bert-token", {"stride": 3}, "stride: tokens in two windows have two labels"),
        ("bert-token", {"stride": 126, "aggregation_strategy": "max"}, "stride 126 must be below 126"),
        ("bert-token", {"candidate_labels": "a"}, "candidate_labels: zero-shot is for models of text classification"),
        ("vit", {"truncate": False}, "truncate: it is for texts, and this model classifies images"),
        ("vit", {"candidate_labels": "cat,dog"}, "candidate_labels: it is for texts, and this model classifies images"),
        ("vit", {"aggregation_strategy": "first"}, "aggregation_strategy: it is for texts, and this model"),
    ],
)
async def test_options_of_other_tasks_are_refused(
    serve: Serve, carrier: Carrier, name: str, options: dict[str, Any], sentence: str
) -> None:
    client = await serve(name)
    status, said = await carrier(client, [GOOD[name]], options, "model")
    assert status == 400, said
    assert sentence in said
    assert (await carrier(client, [GOOD[name]], {}, "model"))[0] == 200


@pytest.mark.parametrize(
    "texts", [[""], ["\ud800 half of a pair"], ["good " * 40_000], ["\0"], ["🎉" * 3000], ["a", "", "b"]]
)
@pytest.mark.parametrize("name", ["bert", "bert-token"])
async def test_texts_of_every_kind_are_classified(serve: Serve, carrier: Carrier, name: str, texts: list[str]) -> None:
    clean = [one.replace("\ud800", "\N{REPLACEMENT CHARACTER}") for one in texts]
    assert (await carrier(await serve(name), clean, {"id2label": True}, "model"))[0] == 200


def animated() -> bytes:
    held = BytesIO()
    picture("P").save(held, "GIF", save_all=True, append_images=[picture("P")], duration=50)
    return held.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return file(picture(), "JPEG", exif=exif)


@pytest.mark.parametrize(
    ("image", "refusal"),
    [
        (file(picture("CMYK"), "JPEG"), None),
        (file(picture("RGBA")), None),
        (file(picture("1")), None),
        (animated(), None),
        (turned(), None),
        (file(picture(width=30_000, height=20)), None),
        (file(picture(width=1, height=1)), None),
        (claims(30_000, 30_000), (413, "instance 1: the image has")),
        (claims(2**31 - 1, 2**31 - 1), (413, "instance 1: the image has")),
        (file(picture(width=400, height=300), "JPEG")[:2000], (400, "instance 1: the image is damaged")),
        (file(picture(width=400, height=300))[:100], (400, "instance 1: the image is damaged")),
        (b"\x00\xff not an image", (400, "instance 1: not an image; send one of JPEG")),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", (400, "instance 1: not an image; send one of JPEG")),
        (b"", (400, "instance 1: not an image; send one of JPEG")),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),
)
async def test_images_of_every_kind_are_classified_or_refused(
    serve: Serve, carrier: Carrier, image: bytes, refusal: tuple[int, str] | None
) -> None:
    client = await serve("vit")
    good = GOOD["vit"]
    (status, said), *others = await asyncio.gather(
        carrier(client, [good, image], {}, "model"), *[ALL["V2, binary"](client, [good], {}, "model") for _ in range(3)]
    )
    if refusal is None:
        assert status == 200, said
    else:
        assert status == expected(carrier, refusal[0]), said
        assert refusal[1] in said
    assert [status for status, _ in others] == [200] * 3


@pytest.mark.parametrize("name", ["bert", "bert-token", "vit"])
async def test_logits_that_are_no_numbers_are_an_error_of_the_request(
    serve: Serve, carrier: Carrier, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await serve(name)
    forward = loaded(name).backend.forward

    def broken(items: Any) -> Any:
        rows = [np.array(row) for row in forward(items)]
        for row in rows:
            row.flat[-1] = np.nan
        return rows

    monkeypatch.setattr(loaded(name).backend, "forward", broken)
    status, said = await carrier(client, [GOOD[name]], {}, "model")
    assert status == 500
    assert "instance 0: the model gave logits that are not numbers" in said
    monkeypatch.setattr(loaded(name).backend, "forward", forward)
    assert (await carrier(client, [GOOD[name]], {}, "model"))[0] == 200
