"""Bytes that somebody sent, to pixels: upright, in colour, of one frame; and nothing that could hurt the server."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from classifier_runtime.errors import InvalidRequest, TooLarge

# The formats of photographs and of the web. Of the others that Pillow opens, some start programs (EPS), and each is one
# more parser of what strangers send.
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# A phone's 50 megapixels; decoded, they are 150 MB.
MAX_PIXELS: Final = 50_000_000
PILLOWS_LIMIT: Final = 89_478_485
"""What is larger Pillow takes for an attack: 256 MiB, decoded."""


def opened(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An image in RGB. Of an animated one the first frame; alpha is dropped, as `transformers.pipeline` drops it.

    :raises TooLarge: by what the image says of itself, before any of it is decoded
    :raises InvalidRequest: no image, or a damaged one
    """
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
        _check(image, max_pixels)
        image.load()
        return ImageOps.exif_transpose(image).convert("RGB")
    except TooLarge:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLarge(f"the image has far too many pixels; send at most {max_pixels}, or raise --max_pixels") from None
    except UnidentifiedImageError:
        raise InvalidRequest(f"not an image; send one of {', '.join(FORMATS)}") from None
    except Exception as error:  # noqa: BLE001 - parsers of hostile bytes raise whatever comes
        raise InvalidRequest(f"the image is damaged ({type(error).__name__}); save it anew") from None


def pixels(data: bytes) -> int:
    """Of an image, as it says itself; 0 of what is none, which `opened` refuses."""
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except Exception:  # noqa: BLE001 - parsers of hostile bytes raise whatever comes
        return 0
    return image.width * image.height


def _check(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise TooLarge(
            f"the image has {image.width} x {image.height} pixels; send at most {max_pixels}, or raise --max_pixels"
        )
