"""What a registry says an image is made of. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from pullsizer.model import Archive
from pullsizer.quantity import MOST_BYTES
from pullsizer.sources.oci.reference import DIGEST

ACCEPT: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_OS: Final = "linux"
_ARCHITECTURE: Final = "amd64"
_ATTESTATION: Final = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Layer:
    """:param kind: how its files lie in it: as a tar, compressed or not; `""` where it is a file itself
    :param readable: whether what comes out of it can be told, and whether the downloader knows how to unpack it
    """

    digest: str
    size: int
    kind: Archive
    readable: bool = True


@dataclass(frozen=True)
class Image:
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Index:
    """Several images under one name.

    :param image: digest of the one for Linux on amd64, the first as the downloader takes it. Where there is none, of
        the first for Linux: a node that can run it takes that. Empty where there is none for Linux
    """

    image: str


def parse(body: bytes) -> Image | Index:
    """A manifest, of either kind.

    :raises ValueError: for anything else, and for what could be read as either
    """
    try:
        found = json.loads(body)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(found, dict) or ("manifests" in found) == ("layers" in found):
        raise ValueError("neither an image nor an index")
    if "manifests" in found:
        return _index(_objects(found["manifests"]))
    layers = (_layer(item) for item in _objects(found["layers"]) if item.get("mediaType") != _ATTESTATION)
    image = Image(tuple(layers))
    if sum(layer.size for layer in image.layers) > MOST_BYTES:
        raise ValueError("impossible sizes")
    return image


def _objects(items: object) -> list[dict[str, Any]]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("not a list of descriptors")
    return items


def _digest(item: dict[str, Any]) -> str:
    digest = item.get("digest")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise ValueError("not a digest")
    return digest


def _layer(item: dict[str, Any]) -> Layer:
    size, media_type = item.get("size"), item.get("mediaType")
    if type(size) is not int or size < 0 or not isinstance(media_type, str):
        raise ValueError("not a layer")
    if media_type.endswith((".tar+gzip", ".tar.gzip")):
        return Layer(_digest(item), size, "tar.gz")
    if media_type.endswith((".tar+zstd", ".tar.zstd")):
        return Layer(_digest(item), size, "tar.gz", readable=False)
    return Layer(_digest(item), size, "tar" if media_type.endswith(".tar") else "")


def _index(items: list[dict[str, Any]]) -> Index:
    first = ""
    for item in items:
        platform = item.get("platform")
        if isinstance(platform, dict) and platform.get("os") == _OS:  # attestations have an unknown one
            if platform.get("architecture") == _ARCHITECTURE:
                return Index(_digest(item))
            first = first or _digest(item)
    return Index(first)
