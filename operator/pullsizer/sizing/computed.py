"""What the law says of a container's pull, with what is known of its sources."""

from __future__ import annotations

from typing import Final

from pullsizer.model import ModelFacts
from pullsizer.sizing.downloader import generation
from pullsizer.sizing.inputs import Inputs
from pullsizer.sizing.law import Downloader, Need, combined, hungriest_of, in_memory, need

_ASSUMED_SHARD: Final = 10_000_000_000
"""Largest file, in bytes, of a model whose size alone was given: transformers cut shards of 10 GB, later of 5."""
_ASSUMED_FILES: Final = 8
"""And how many it has, at least: as many as any downloader fetches at once."""


def computed(inputs: Inputs) -> Need | None:
    """By the law, if all of the model is known."""
    facts = facts_of(inputs)
    if facts is None:
        return None
    container = inputs.container
    release = generation(container.image, inputs.policy.downloader.profile)
    downloader = Downloader(container.environment, release)
    if inputs.overrides.model_size is not None:
        whole = hungriest_of(container.sources, facts[0], downloader)
    else:
        pairs = zip(container.sources, facts, strict=True)
        whole = combined([need(source, item, downloader) for source, item in pairs])
    return in_memory(whole) if container.medium == "memory" else whole


def facts_of(inputs: Inputs) -> tuple[ModelFacts, ...] | None:
    known = tuple(item for item in inputs.knowledge if isinstance(item, ModelFacts))
    size = inputs.overrides.model_size
    if size is not None:
        # A person knows the size better than nobody, and better than what was measured; not how it is split.
        largest = max((item.largest for item in known), default=_ASSUMED_SHARD)
        files = sum(item.files for item in known) or max(_ASSUMED_FILES, -(-size // _ASSUMED_SHARD))
        archive = next((item for item in known if item.archive), None)
        content = size * archive.unpacked // archive.bytes if archive and archive.bytes else 0
        kind = archive.archive if archive else ""
        return (ModelFacts(size, files, min(size, largest), archive=kind, unpacked=content),)
    return known if known and len(known) == len(inputs.knowledge) else None
