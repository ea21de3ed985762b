"""How big an image is: its layers as they are stored, and what comes out of them."""

from __future__ import annotations

import asyncio
from typing import Final

from pullsizer.model import Archive, Basis, ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.quantity import MOST_BYTES
from pullsizer.sources.access import Access
from pullsizer.sources.archives import unpacked
from pullsizer.sources.client import Client
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.oci.logins import login
from pullsizer.sources.oci.manifests import Image, Index, Layer
from pullsizer.sources.oci.reference import parse
from pullsizer.sources.oci.registry import Registry

_INDEXES: Final = 2
"""An index may list another; nobody nests them deeper."""
_LOOKED_INTO: Final = 8
"""Layers, the largest, and all at once: as many questions as one host gets at a time. Models lie in one to three."""
_OTHERS: Final = 3
"""Times its size is what comes out of any other: what text and programs compress to. Weights come to 1.25 at most."""
_CONFIG: Final = "KSERVE_OCI_DOCKER_CONFIG"
"""Names a file in the downloader's container; here it holds what is in it (see `access`)."""


class Oci:
    """Asks registries about images."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        return parse(source.uri).url(rules).raw_host or ""

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        registry = self._registry(source, access, rules)
        digest, image = await _image(registry, source)
        inside = await _inside(registry, image)
        sizes = [layer.size for layer in image.layers]
        packed: Archive = max((layer.kind for layer in image.layers), default="")  # "" < "tar" < "tar.gz"
        basis: Basis = "estimated" if packed == "tar.gz" else "measured"
        return ModelFacts(
            bytes=sum(sizes),
            files=len(sizes),
            largest=max(sizes, default=0),
            archive=packed,
            unpacked=inside if packed else 0,
            revision=digest,
            basis=basis,
        )

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        reference = parse(source.uri)
        if reference.pinned:
            return reference.wanted == facts.revision
        registry = self._registry(source, access, rules)
        digest = await registry.digest(reference.wanted) or (await registry.manifest(reference.wanted))[0]
        return digest == facts.revision

    def _registry(self, source: Source, access: Access, rules: SourceRules) -> Registry:
        reference = parse(source.uri)
        known = login(access.get(_CONFIG), reference.registry)
        return Registry(self._client, reference.url(rules), reference, known)


async def _image(registry: Registry, source: Source) -> tuple[str, Image]:
    """The image, chosen from an index where there is one, and the digest of what the source names."""
    reference = parse(source.uri)
    digest, found = await registry.manifest(reference.wanted)
    for _ in range(_INDEXES):
        if isinstance(found, Index):
            if not found.image:
                raise failure("NotFound", f"{shown(str(reference))} lists no image for Linux")
            _, found = await registry.manifest(found.image)
    if isinstance(found, Index):
        raise failure("InvalidAnswer", f"{shown(str(reference))} lists lists of images, and no image")
    return digest, found


async def _inside(registry: Registry, image: Image) -> int:
    """Bytes that come out of all layers; 0 where that is not known of a large one."""
    compressed = sorted((layer for layer in image.layers if layer.kind == "tar.gz"), key=lambda layer: -layer.size)
    large, others = compressed[:_LOOKED_INTO], compressed[_LOOKED_INTO:]
    told = await asyncio.gather(*(_one(registry, layer) for layer in large))
    if not all(told):
        return 0
    as_they_are = sum(layer.size for layer in image.layers if layer.kind != "tar.gz")
    return min(as_they_are + sum(told) + _OTHERS * sum(layer.size for layer in others), MOST_BYTES)


async def _one(registry: Registry, layer: Layer) -> int:
    if not layer.readable:
        return 0
    found, _ = await unpacked(layer.kind, layer.size, registry.blob(layer))
    return found
