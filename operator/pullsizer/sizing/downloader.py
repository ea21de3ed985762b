"""KServe's downloader, as far as its version and environment decide which rows of the table a pull is in.

Facts: KServe v0.15 to v0.20, `pkg/utils/storage.go` (what it injects), `python/storage/kserve_storage` (what it does)
and `python/storage/uv.lock` (what the image holds).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args

from pullsizer.model import ModelFacts, Store
from pullsizer.policy import Profile
from pullsizer.sizing import table
from pullsizer.sizing.table import Row

CHUNK_CACHE: Final = 10 << 30
"""Bytes: hf-xet 1.1.3, in the images of v0.16 to v0.19, keeps so much in the container's writable layer."""

_BOUNDED: Final = {
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_SIZE": "256mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_PERFILE_SIZE": "64mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_LIMIT": "320mb",
}
"""With these, and HIGH_PERFORMANCE off, Xet 1.5 was measured to stay small; with it on it does not heed them."""
_MAY_LACK_XET: Final = (None, "v0.15")
"""Releases of which it is not known that their image holds hf-xet. Without it files in Xet's store come as LFS's do."""
_ONE_BY_ONE: Final = replace(
    table.PLAIN, workers=1, how="plain requests, one file after another", file_seconds=table.TRANSFER.file_seconds
)
"""Plain requests beside hf_transfer: while that is on, files come one after another (huggingface_hub 0.32), and small
ones, with which its seconds for a file were measured, are left to plain requests."""
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_VERSION: Final = re.compile(r":v?(0\.\d+)(?:\.|$)")
_MOST_CONCURRENCY: Final = 64
"""Of what a person may write; the table's formulas hold for eight."""


def generation(image: str, profile: Profile | None) -> Profile | None:
    """Which release's downloader an image holds, by its tag or else by the administrator's word; None: not known."""
    version = _VERSION.search(image)
    name = f"v{version[1]}" if version else ""
    return next((known for known in get_args(Profile) if known == name), profile)


def rows(store: Store | None, environment: Mapping[str, str], release: Profile | None) -> tuple[Row, ...]:
    """The rows a pull may be in, the pull needing what the most demanding of them says.

    :param store: None for a scheme that nobody knows: S3's row stands in for it
    """
    match store:
        case "hf":
            return _hub(environment, release)
        case "azure" if release in ("v0.15", "v0.16"):
            return (table.AZURE_WHOLE,)
        case "azure":
            row = _with_workers(table.AZURE, environment, "AZURE_MAX_FILE_CONCURRENCY")
            return (row,) if release is not None else (row, table.AZURE_WHOLE)
        case "s3" | None if release in ("v0.15", "v0.16"):
            return (replace(table.S3, workers=1),)
        case "s3" | None:
            return (_with_workers(table.S3, environment, "S3_MAX_FILE_CONCURRENCY"),)
        case _:
            return (_SINGLE[store],)


_SINGLE: Final[Mapping[Store, Row]] = {
    "http": table.HTTP,
    "gs": table.GS,
    "oci": table.OCI,
    "azure-file": table.AZURE_FILES,
    "git": table.GIT,
    "modelscope": table.MODELSCOPE,
    "hdfs": table.HDFS,
}


def _hub(environment: Mapping[str, str], release: Profile | None) -> tuple[Row, ...]:
    """LFS's row and, if there is one, Xet's: which of the two a file comes by is the Hub's choice, file by file."""
    old = release != "hub-2"
    lfs = _on(environment, "HF_HUB_ENABLE_HF_TRANSFER") and old  # huggingface_hub 1 knows hf_transfer no more
    found = [table.TRANSFER if lfs else table.PLAIN if old else table.PLAIN_HUB_2]
    if not _on(environment, "HF_HUB_DISABLE_XET"):
        found.append(_xet(environment) if old else table.XET_1_8)
    return tuple(found)


@dataclass(frozen=True)
class Way:
    """A row that some of a pull's files are in, and the bytes of the largest of those."""

    row: Row
    largest: int


def ways(
    store: Store | None, facts: ModelFacts, environment: Mapping[str, str], release: Profile | None
) -> tuple[Way, ...]:
    """The rows a pull is in, the pull needing what the most demanding of them says.

    Where it is known what the Hub has in which of its stores, a row counts only the files that come that way, and one
    without files is none. Small files that are in neither store, as every repository has, come by plain requests.
    """
    found = rows(store, environment, release)
    xet, lfs = facts.largest_by_xet, facts.largest_by_lfs
    if store != "hf" or xet is None or lfs is None:
        return tuple(Way(row, facts.largest) for row in found)
    if len(found) == 1 or release in _MAY_LACK_XET:
        lfs = max(xet, lfs)
    by_lfs, *by_xet = found
    if by_lfs is table.TRANSFER and not lfs:
        by_lfs = _ONE_BY_ONE
    return (Way(by_lfs, lfs), *(Way(row, xet) for row in by_xet if xet))


def _xet(environment: Mapping[str, str]) -> Row:
    if _on(environment, "HF_XET_HIGH_PERFORMANCE"):
        return table.XET_HIGH
    bounded = all(environment.get(name) == value for name, value in _BOUNDED.items())
    return table.XET_BOUNDED if bounded else table.XET


def chunk_cache(facts: ModelFacts, environment: Mapping[str, str], release: Profile | None) -> int:
    """Bytes of the disk that hf-xet's cache takes beside the model, at most."""
    caching = release in (None, "v0.16", "v0.17", "v0.18", "v0.19") and facts.largest_by_xet != 0
    return min(facts.bytes, CHUNK_CACHE) if caching and not _on(environment, "HF_HUB_DISABLE_XET") else 0


def decrypts(environment: Mapping[str, str]) -> bool:
    """Whether each file is decrypted after the download: in memory, as a whole (v0.20, jwe_decryptor.py)."""
    return _on(environment, "CONFIDENTIAL_ENABLED")


def _on(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() in _TRUE


def _with_workers(row: Row, environment: Mapping[str, str], name: str) -> Row:
    text = environment.get(name, "").strip()
    if not text.isascii() or not text.isdecimal():
        return row
    return replace(row, workers=min(max(1, int(text[:6])), _MOST_CONCURRENCY))
