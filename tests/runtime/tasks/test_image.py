"""Images are classified as `transformers.pipeline("image-classification")` does, and bad ones hurt nobody."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from classifier_runtime.core.job import Classified, Instance
from classifier_runtime.errors import InvalidRequest, ModelFailed, RequestError, TooLarge
from classifier_runtime.tasks import pictures
from classifier_runtime.tasks.of_model import task_of
from tests.runtime import tiny
from tests.runtime.tasks.answers import images, options, outcomes, pipeline, same, spec, task, texts

RANDOM = np.random.default_rng(7)


def picture(mode: str = "RGB", width: int = 50, height: int = 40) -> Image.Image:
    """Coarse blocks of colour, so that formats that lose something lose little."""
    blocks = RANDOM.integers(0, 256, (5, 5, 4 if mode in ("RGBA", "CMYK") else 3), dtype=np.uint8)
    made = Image.fromarray(blocks, mode if mode in ("RGBA", "CMYK") else "RGB").resize((width, height))
    return made if made.mode == mode else made.convert(mode)


def file(image: Image.Image, kind: str = "PNG", **said: Any) -> bytes:
    held = BytesIO()
    image.save(held, kind, **said)
    return held.getvalue()


def shape(found: Any) -> list[dict[str, Any]]:
    """As the pipeline answers."""
    assert isinstance(found, Classified)
    return [{"label": one.label, "score": one.score} for one in found.chosen]


def theirs(name: str, sent: bytes, **said: Any) -> Any:
    return pipeline(name)(Image.open(BytesIO(sent)), **said)


MODES = [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("1", "PNG"), ("I;16", "PNG")]
MODES += [
    ("RGB", "JPEG"),
    ("L", "JPEG"),
    ("CMYK", "JPEG"),
    ("RGB", "WEBP"),
    ("P", "GIF"),
    ("RGB", "BMP"),
    ("F", "TIFF"),
    ("RGB", "AVIF"),
    ("RGB", "MPO"),  # a JPEG with a second view in it, as phones take them
]


@pytest.mark.parametrize("name", tiny.VISION)
@pytest.mark.parametrize(("mode", "kind"), MODES)
def test_every_mode_and_format_has_the_pipelines_scores(name: str, mode: str, kind: str) -> None:
    sent = file(picture(mode), kind)
    [found] = outcomes(name, images(sent, top_k=5))
    same(shape(found), theirs(name, sent))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_exif_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = picture()
    sent = file(upright, "PNG", exif=exif)
    [found] = outcomes("vit", images(sent, top_k=5))
    same(shape(found), theirs("vit", sent))
    assert (pictures.opened(sent).size == upright.size) == (orientation < 5)


def test_of_an_animation_the_first_frame_counts() -> None:
    first, second = picture("P"), picture("P")
    moving = file(first, "GIF", save_all=True, append_images=[second], duration=50)
    [found, alone] = outcomes("vit", images(moving, file(first, "GIF"), top_k=None))
    assert shape(found) == shape(alone)


def test_function_to_apply_and_top_k_are_the_pipelines() -> None:
    sent = file(picture())
    for said in ({"top_k": 2}, {"function_to_apply": "sigmoid"}, {"function_to_apply": "none", "top_k": 99}):
        [found] = outcomes("vit", images(sent, **{"top_k": 5, **said}))
        same(shape(found), theirs("vit", sent, **said))


def test_the_best_class_alone_is_chosen_where_nobody_says_how_many() -> None:
    [found] = outcomes("vit", images(file(picture())))
    assert isinstance(found, Classified)
    assert [one.id for one in found.chosen] == [found.id]
    assert found.scores.shape == (4,)


def test_thirty_thousand_pixels_wide_is_an_image_like_others() -> None:
    sent = file(picture(width=30_000, height=20))
    [found] = outcomes("vit", images(sent, top_k=5))
    same(shape(found), theirs("vit", sent))


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is that large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8000, 8000), (12_000, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(TooLarge, match=r"instance 0: the image has .* pixels; send at most 50000000"):
        task("vit").encode(images(claims(*size)))


def test_how_many_pixels_an_image_may_have_can_be_told() -> None:
    sent = images(file(picture(width=100, height=100)))
    assert len(task_of(spec("vit"), max_pixels=10_000).encode(sent).items) == 1
    with pytest.raises(TooLarge, match="100 x 100 pixels; send at most 9999, or raise --max_pixels"):
        task_of(spec("vit"), max_pixels=9_999).encode(sent)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_an_image_that_was_cut_off_is_refused_and_says_so(kind: str, part: float) -> None:
    sent = file(picture("P" if kind == "GIF" else "RGB", 400, 300), kind)
    with pytest.raises(InvalidRequest, match=r"instance 1: (the image is damaged|not an image)"):
        task("vit").encode(images(file(picture()), sent[: int(len(sent) * part)]))


@pytest.mark.parametrize(
    "sent", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_image_is_refused(sent: bytes) -> None:
    with pytest.raises(InvalidRequest, match="instance 0: not an image; send one of JPEG, PNG"):
        task("vit").encode(images(sent))


def test_bytes_changed_anywhere_are_an_answer_or_an_error_of_the_request() -> None:
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP"):
        sent = file(picture("P" if kind == "GIF" else "RGB"), kind)
        for _ in range(40):
            broken = bytearray(sent)
            for place in RANDOM.integers(0, len(sent), 3):
                broken[place] = RANDOM.integers(0, 256)
            try:
                [item] = task("vit").encode(images(bytes(broken))).items
            except RequestError:
                continue
            assert item.arrays["pixel_values"].shape == (3, 32, 32)


def test_what_is_no_number_is_an_error() -> None:
    asked = images(file(picture()))
    with pytest.raises(ModelFailed, match="instance 0"):
        task("vit").decode(asked, task("vit").encode(asked), [np.full(4, np.nan, np.float32)])


def test_texts_and_their_options_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="send one, not a text"):
        task("vit").check(texts("a cat")[0])
    for said in ({"truncate": False}, {"candidate_labels": ["cat"]}, {"stride": 3}):
        with pytest.raises(InvalidRequest, match="it is for texts"):
            task("vit").check(Instance(options(**said), image=b"x"))


def test_the_pixels_of_a_request_are_counted_before_any_is_decoded() -> None:
    used = task_of(spec("vit"), max_pixels=10_000)
    whole = file(picture(width=100, height=100))
    assert len(used.encode(images(*[whole] * 4)).items) == 4
    with pytest.raises(TooLarge, match="more than 40000 pixels together; send fewer"):
        used.encode(images(b"damaged", *[whole] * 5))
