"""What a Hub's answers say of a repository: its files, their sizes, and how each will come. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from huggingface_hub.hf_api import ModelInfo, RepoFile, RepoFolder

from pullsizer.model import ModelFacts, Source
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.listings import File, Listing, Way

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_MOST_FILES: Final = 100_000
"""The Hub advises to have no more in a repository: https://huggingface.co/docs/hub/storage-limits."""


def of_tree(entries: Iterable[RepoFile | RepoFolder]) -> tuple[File, ...]:
    """Files of a listing that arrives page by page; no more than one page's entries are held besides.

    What is in Xet's store has an `xetHash`. To those who may not read a gated repository it is shown as asterisks; it
    is in Xet's store all the same.
    """
    files: list[File] = []
    for entry in entries:
        if not isinstance(entry, RepoFile):
            continue
        if len(files) == _MOST_FILES:
            raise failure(
                "UnsupportedSource",
                f"the repository has more than {_MOST_FILES:,} files; write the model's size into the annotation "
                "pullsizer.dev/model-size",
            )
        way: Way = "xet" if entry.xet_hash else "lfs" if entry.lfs else "plain"
        files.append((str(entry.path), entry.size, way))
    if not files:
        raise ValueError("no files")
    return tuple(files)


def of_info(info: ModelInfo) -> Listing:
    """What the description of a model has. Its files are said to be in LFS or not, and never whether in Xet."""
    if not info.siblings:
        raise ValueError("no files")
    files: list[File] = [(str(file.rfilename), file.size, None if file.lfs else "plain") for file in info.siblings]
    return Listing(str(info.sha or ""), tuple(files))


def facts_of(listing: Listing, source: Source) -> ModelFacts:
    """How much of a repository the downloader will take: all of it but what its filters leave out."""
    total, files, known, model = 0, 0, True, shown(source.public_uri)
    largest: dict[Way, int] = {"xet": 0, "lfs": 0, "plain": 0}
    unknown = 0
    selects = source.selector()
    for path, size, way in listing.files:
        if not selects(path):
            continue
        if type(size) is not int or size < 0:
            raise failure("InvalidAnswer", f"the Hub does not tell the size of every file of {model}")
        total, files = total + size, files + 1
        if way is None:
            known, unknown = False, max(unknown, size)
        else:
            largest[way] = max(largest[way], size)
    return ModelFacts(
        bytes=total,
        files=files,
        largest=max(unknown, *largest.values()),
        revision=listing.commit if COMMIT.fullmatch(listing.commit) else "",
        largest_by_xet=largest["xet"] if known else None,
        largest_by_lfs=largest["lfs"] if known else None,
    )
