"""An image to a model's input: as transformers' image processors with the `pil` backend do it, bit for bit.

By `preprocessor_config.json`. A key that is not known here is refused at start: it would be answered wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from classifier_runtime.core.job import Floats
from classifier_runtime.errors import ModelRefused, TooLarge
from classifier_runtime.tasks.pictures import MAX_PIXELS

_HALF: Final = (0.5, 0.5, 0.5)
_CLIP: Final = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
    "resample": 3,
    "size": {"shortest_edge": 224},
    "do_center_crop": True,
}
# What a class of transformers' does where the file says nothing (its `…Pil` classes).
_DEFAULT: Final[Mapping[str, Any]] = {
    "do_resize": True,
    "size": {"height": 224, "width": 224},
    "resample": 2,
    "do_center_crop": False,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": _HALF,
    "image_std": _HALF,
}
_OF_CLASS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ViT": {},
    "DeiT": {"size": {"height": 256, "width": 256}, "resample": 3, "do_center_crop": True},
    "Beit": {"resample": 3},
    "Siglip": {"resample": 3},
    "CLIP": _CLIP,
    "Bit": _CLIP,
    "ConvNext": {"size": {"shortest_edge": 384}, "resample": 3, "crop_pct": 224 / 256},
}
# What changes nothing for one RGB image in, one array out.
_WITHOUT_EFFECT: Final = frozenset(
    {
        "image_processor_type",
        "feature_extractor_type",
        "processor_class",
        "do_convert_rgb",
        "do_reduce_labels",
        "reduce_labels",
        "default_to_square",
        "input_data_format",
        "data_format",
        "return_tensors",
        "device",
        "disable_grouping",
        "_valid_processor_keys",
    }
)
# One that would change something is allowed as long as it says that it does not.
_OFF: Final = frozenset({"do_pad", "pad_size", "image_seq_length"})


@dataclass(frozen=True, slots=True)
class Size:
    """A size to make: `height` x `width`, or the shorter edge and the other by it."""

    height: int = 0
    width: int = 0
    shortest: int = 0

    def of(self, width: int, height: int) -> tuple[int, int]:
        """:returns: width, height"""
        if not self.shortest:
            return self.width, self.height
        longest = int(self.shortest * max(width, height) / min(width, height))
        return (self.shortest, longest) if width <= height else (longest, self.shortest)


@dataclass(frozen=True, slots=True)
class Pixels:
    """How a model wants its images.

    :param resize: None to leave the size
    :param crop: height and width of the middle that is taken after that; what is too small is padded with black
    :param levels: [3, 256] what becomes of each value of each channel: rescaled and normalised
    """

    resize: Size | None
    resample: Image.Resampling
    crop: tuple[int, int] | None
    levels: Floats

    def array(self, image: Image.Image, max_pixels: int = MAX_PIXELS) -> Floats:
        """[3, height, width] of an image in RGB.

        :param max_pixels: of the image, resized
        :raises TooLarge: an image so long and thin that resizing it makes a huge one
        """
        if self.resize is not None:
            width, height = self.resize.of(image.width, image.height)
            if width * height > max_pixels:
                raise TooLarge(
                    f"the image, {image.width} x {image.height}, would have {width} x {height} pixels with the model's "
                    "shorter edge; crop it"
                )
            image = image.resize((width, height), self.resample)
        values = np.asarray(image)
        if self.crop is not None:
            values = _middle(values, *self.crop)
        return np.stack([level[values[..., channel]] for channel, level in enumerate(self.levels)])


def read(file: Path) -> Pixels:
    """Of a `preprocessor_config.json`.

    :raises ModelRefused: it cannot be read, or wants what is not known here
    """
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelRefused(f"{file} cannot be read ({error.strerror}); a model of images needs it") from None
    except ValueError:
        raise ModelRefused(f"{file} is not JSON; copy it again") from None
    if not isinstance(said, dict):
        raise ModelRefused(f"{file} is not a JSON object; copy it again")
    return of(said, str(file))


def of(said: Mapping[str, Any], where: str) -> Pixels:
    """:param where: for messages"""
    kind = str(said.get("image_processor_type") or said.get("feature_extractor_type") or "ViTImageProcessor")
    name = kind
    for suffix in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        name = name.removesuffix(suffix)
    if name not in _OF_CLASS:
        raise ModelRefused(f"{where}: {kind} is not known here; known are {', '.join(_OF_CLASS)} (ImageProcessor)")
    words = {**_DEFAULT, **_OF_CLASS[name]}
    for key, value in said.items():
        if key in words:
            words[key] = words[key] if value is None else value
        elif key not in _WITHOUT_EFFECT and not (key in _OFF and not value):
            raise ModelRefused(f"{where}: {key!r} is not known here, and images might be made wrongly without it")
    edge = name in ("CLIP", "Bit", "ConvNext")  # where one number is the shorter edge
    resize = _size(words["size"], edge, f"{where}: size") if words["do_resize"] else None
    crop = _size(words["crop_size"], False, f"{where}: crop_size") if words["do_center_crop"] else None
    if name == "ConvNext" and crop is not None:
        raise ModelRefused(f"{where}: do_center_crop: ConvNext crops by crop_pct; leave it out")
    if name == "ConvNext" and resize is not None:
        resize, crop = _convnext(resize, words["crop_pct"], where)
    if crop is None and (resize is None or resize.shortest):
        raise ModelRefused(f"{where}: each image would have a size of its own; set size.height and size.width")
    return Pixels(
        resize,
        Image.Resampling(words["resample"]),
        None if crop is None else (crop.height, crop.width),
        _levels(words),
    )


def _size(said: Any, edge: bool, where: str) -> Size:
    """As a number, as two, or as an object: files of all ages."""
    if isinstance(said, int):
        return Size(shortest=said) if edge else Size(said, said)
    if isinstance(said, list) and len(said) == 2:
        return Size(*said)
    if isinstance(said, Mapping) and set(said) == {"height", "width"}:
        return Size(said["height"], said["width"])
    if isinstance(said, Mapping) and set(said) == {"shortest_edge"}:
        return Size(shortest=said["shortest_edge"])
    raise ModelRefused(f"{where}: {said!r} is neither {{height, width}} nor {{shortest_edge}}")


def _convnext(size: Size, crop_pct: float, where: str) -> tuple[Size, Size | None]:
    """Below 384 the middle of a larger image; from there on the whole image, warped."""
    if not size.shortest:
        raise ModelRefused(f"{where}: ConvNext's size is {{shortest_edge}}")
    square = Size(size.shortest, size.shortest)
    return (square, None) if size.shortest >= 384 else (Size(shortest=int(size.shortest / crop_pct)), square)


def _levels(words: Mapping[str, Any]) -> Floats:
    """With the precisions that the processors use, so that every bit is theirs."""
    values = np.arange(256, dtype=np.float64)
    levels = np.tile(values * words["rescale_factor"] if words["do_rescale"] else values, (3, 1)).astype(np.float32)
    if not words["do_normalize"]:
        return levels
    mean, std = (
        np.broadcast_to(np.array(words[key], dtype=np.float32), (3,))[:, None] for key in ("image_mean", "image_std")
    )
    return np.asarray((levels - mean) / std, dtype=np.float32)


def _middle(values: np.typing.NDArray[np.uint8], height: int, width: int) -> np.typing.NDArray[np.uint8]:
    """Of [H, W, 3]; the odd pixel of a margin goes where transformers has it, for cutting and for padding."""
    for axis, wanted in ((0, height), (1, width)):
        there = values.shape[axis]
        if wanted > there:
            # transformers pads with ceil of half the difference in front, then cuts from floor + ceil.
            before = -((there - wanted) // 2)
            sides = [(0, 0)] * 3
            sides[axis] = (before, wanted - there - before)
            values = np.pad(values, sides)
        else:
            begin = (there - wanted) // 2
            values = values.take(range(begin, begin + wanted), axis)
    return values
