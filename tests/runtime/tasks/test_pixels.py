"""An image becomes the same bits that transformers' own processors make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from classifier_runtime.errors import ModelRefused, TooLarge
from classifier_runtime.tasks import pixels

SIZES = st.integers(1, 90)
CONFIGS: dict[str, dict[str, Any]] = {
    "vit": {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 48}},
    "vit, plain": {"image_processor_type": "ViTImageProcessor"},
    "vit, nothing but size": {
        "image_processor_type": "ViTImageProcessor",
        "size": 24,
        "do_rescale": False,
        "do_normalize": False,
    },
    "vit, not normalised": {"image_processor_type": "ViTImageProcessorFast", "size": 24, "do_normalize": False},
    "vit, old": {
        "feature_extractor_type": "ViTFeatureExtractor",
        "size": 30,
        "resample": 2,
        "image_mean": [0.1, 0.2, 0.3],
    },
    "deit": {"image_processor_type": "DeiTImageProcessor", "size": 40, "crop_size": 31},
    "beit": {"image_processor_type": "BeitImageProcessor", "size": 33, "do_center_crop": True, "crop_size": 32},
    "clip": {"image_processor_type": "CLIPImageProcessor", "size": 30, "crop_size": 30},
    "bit": {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 32}, "crop_size": 27},
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": {"height": 20, "width": 20}},
    "convnext": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 28}},
    "convnext, crop": {
        "image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": 28},
        "crop_pct": 0.9,
    },
    "convnext, large": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}},
    "crop alone": {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": False,
        "crop_size": {"height": 31, "width": 20},
    },
}


def theirs(said: dict[str, Any]) -> Any:
    from transformers import image_processing_backends  # noqa: F401 - their lazy modules need it first
    from transformers.models import beit, bit, clip, convnext, deit, siglip, vit

    kind = (said.get("image_processor_type") or said["feature_extractor_type"]).removesuffix("Fast")
    name = kind.removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
    family = {"ViT": vit, "DeiT": deit, "Beit": beit, "CLIP": clip, "Bit": bit, "Siglip": siglip, "ConvNext": convnext}[
        name
    ]
    return getattr(family, f"{name}ImageProcessorPil")(**said)


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=12, deadline=None)
@given(width=SIZES, height=SIZES, seed=st.integers(0, 9))
def test_arrays_are_the_processors_bit_for_bit(name: str, width: int, height: int, seed: int) -> None:
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
    found = pixels.of(CONFIGS[name], name).array(image)
    expected = theirs(CONFIGS[name])(image, return_tensors="np")["pixel_values"][0]
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"image_processor_type": "LevitImageProcessor"}, "LevitImageProcessor is not known here; known are ViT, DeiT"),
        ({"do_flip_channel_order": True}, "'do_flip_channel_order' is not known here"),
        ({"do_pad": True}, "'do_pad' is not known here"),
        ({"size": {"longest_edge": 3}}, "size: {'longest_edge': 3} is neither"),
        ({"size": {"shortest_edge": 224}}, "each image would have a size of its own"),
        ({"do_resize": False}, "each image would have a size of its own"),
        ({"image_processor_type": "ConvNextImageProcessor", "size": {"height": 3, "width": 3}}, "ConvNext's size is"),
        ({"image_processor_type": "ConvNextImageProcessor", "do_center_crop": True}, "ConvNext crops by crop_pct"),
    ],
)
def test_what_would_be_made_wrongly_is_refused_at_start(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelRefused, match=sentence):
        pixels.of(said, "preprocessor_config.json")


def test_a_file_that_is_missing_or_broken_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "preprocessor_config.json"
    with pytest.raises(ModelRefused, match="cannot be read"):
        pixels.read(file)
    for text, sentence in (("{", "is not JSON"), ("[]", "is not a JSON object")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ModelRefused, match=sentence):
            pixels.read(file)
    file.write_text(json.dumps({"do_pad": False, "processor_class": "x", "image_mean": None}), encoding="utf-8")
    assert pixels.read(file).array(Image.new("RGB", (9, 9))).shape == (3, 224, 224)


def test_a_thread_of_pixels_is_not_made_a_sheet() -> None:
    """30,000 x 1 with a shorter edge of 224 would be 1.5 billion pixels."""
    made = pixels.of(CONFIGS["clip"] | {"size": 224}, "")
    with pytest.raises(TooLarge, match="30000 x 1, would have"):
        made.array(Image.new("RGB", (30_000, 1)))
