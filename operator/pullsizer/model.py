"""What is known of a model: where it comes from, how big it is, or why that is not known."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

Archive = Literal["", "tar", "tar.gz", "zip"]
ARCHIVES: Final[tuple[Archive, ...]] = ("", "tar", "tar.gz", "zip")

Basis = Literal["measured", "estimated"]
BASES: Final[tuple[Basis, ...]] = ("measured", "estimated")

NOT_PULLED: Final = frozenset({"pvc", "oci+native", "file"})
"""Schemes of sources that are mounted: no container downloads them."""

Store = Literal["hf", "s3", "gs", "azure", "azure-file", "git", "http", "oci", "modelscope", "hdfs"]
"""What a model is pulled from. KServe's downloader has a client for each."""

_STORE_OF: Final[dict[str, Store]] = {
    "hf": "hf",
    "s3": "s3",
    "gs": "gs",
    "oci": "oci",
    "oci+fetch": "oci",
    "modelscope": "modelscope",
    "hdfs": "hdfs",
    "webhdfs": "hdfs",
    "http": "http",
    "https": "http",
}
# As KServe's downloader tells them apart, in its order: v0.20.0, python/storage/kserve_storage/kserve_storage.py. The
# last is as wide there: whatever has `.git` behind https is cloned. Matched from the beginning and never searched: what
# a user writes must not take time that grows with its square.
_STORES_BEHIND_HTTPS: Final[tuple[tuple[re.Pattern[str], Store], ...]] = (
    (re.compile(r"[^:]+://.+?\.(?:blob\.core\.windows|z[0-9]{1,2}\.blob\.storage\.azure)\.net/."), "azure"),
    (re.compile(r"[^:]+://.+?\.(?:file\.core\.windows|z[0-9]{1,2}\.file\.storage\.azure)\.net/."), "azure-file"),
    (re.compile(r"[^:]+://.+?\.git"), "git"),
)
_LONGEST_URI: Final = 4096
"""Characters, as ModelPulls have them. What is longer is no URI of a store."""
SCHEMES: Final = frozenset(_STORE_OF) | NOT_PULLED

_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}$")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")  # RFC 3986
_LONGEST_PATH: Final = 4096
"""PATH_MAX of Linux, where the downloader writes: no file comes of a longer name."""


@dataclass(frozen=True)
class Source:
    """One thing to download, as the downloader is told: a URI and the filters that apply to its files.

    :param endpoint: of the store, where the container or a Secret of the user's names one; no part of the identity by
        which admission finds facts
    """

    uri: str
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    endpoint: str = ""

    @cached_property
    def scheme(self) -> str:
        head, separator, _ = self.uri.partition("://")
        return head.lower() if separator and _SCHEME.fullmatch(head) else ""

    @property
    def pulled(self) -> bool:
        return bool(self.scheme) and self.scheme not in NOT_PULLED

    @cached_property
    def store(self) -> Store | None:
        """What it is pulled from; None where no client of the downloader's is known for it."""
        if len(self.uri) > _LONGEST_URI:
            return None
        if self.scheme == "https":
            return next((store for pattern, store in _STORES_BEHIND_HTTPS if pattern.match(self.uri)), "http")
        return _STORE_OF.get(self.scheme)

    @property
    def measurable(self) -> bool:
        """Whether the controller can find out how big it is. For all others nobody needs to wait."""
        return self.store is not None

    @property
    def public_uri(self) -> str:
        """The URI without what may be a secret in it: user information and query.

        Passwords are pasted unescaped, with `/`, `?`, `#` and `@` in them. So all up to the last `@` goes, though it
        may be part of a path. Where a `?` or `#` comes before it, either side may be the secret, and neither is shown.
        """
        scheme, separator, rest = self.uri.partition("://")
        if not self.scheme:
            scheme, separator, rest = "", "", self.uri
        digest = _DIGEST.search(rest) if self.store == "oci" else None
        if digest:  # what stands before this @ is a name
            rest = rest[: digest.start()]
        hidden, at, rest = rest.rpartition("@")
        if at and ("?" in hidden or "#" in hidden):
            rest = "…"
        return f"{scheme}{separator}{rest.partition('?')[0].partition('#')[0]}{digest[0] if digest else ''}"

    def selector(self) -> Callable[[str], bool]:
        """What tells whether the downloader would take a file: fnmatch on the relative path.

        `folder/` is all that is in it for the clients of the Hub and of ModelScope; elsewhere the downloader's own code
        takes it as it stands, and no file has such a name.

        Made anew for each question, as it can take a second and megabytes to make: `fnmatch` itself would keep 32,768
        patterns of whoever wrote them; `re` keeps 512.
        """
        pattern_of = _folder if self.store in ("hf", "modelscope") else str

        def matches(patterns: Iterable[str]) -> tuple[Callable[[str], object], ...]:
            return tuple(re.compile(fnmatch.translate(pattern_of(pattern))).match for pattern in patterns)

        allow, ignore = matches(self.allow), matches(self.ignore)

        def selects(path: str) -> bool:
            if len(path) > _LONGEST_PATH:  # costs too much to be told, for a file that cannot be
                return True
            if allow and not any(match(path) for match in allow):
                return False
            return not any(match(path) for match in ignore)

        return selects


def _folder(pattern: str) -> str:
    return f"{pattern}*" if pattern.endswith("/") else pattern


def parse_patterns(text: str | None) -> tuple[str, ...]:
    """`STORAGE_ALLOW_PATTERNS` and `STORAGE_IGNORE_PATTERNS`: a JSON array, or names with commas between them."""
    text = (text or "").strip()
    if not text:
        return ()
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return tuple(str(item) for item in found if item)
    return tuple(part.strip() for part in text.split(",") if part.strip())


@dataclass(frozen=True)
class ModelFacts:
    """How big a model is, after the filters.

    :param bytes: as stored at the source
    :param files: number of files
    :param largest: bytes of the largest file
    :param archive: what the downloader will unpack, if anything
    :param unpacked: bytes of what comes out of the archive; 0 where there is none, or it could not be told
    :param revision: what was measured, where the source has revisions (a commit of the Hub)
    :param etag: what the source named this version, for asking again cheaply
    :param basis: `estimated` where a bound stands in for what could not be read
    :param largest_by_xet: bytes of the largest file that the Hub has in Xet's store, 0 for none; None where that is not
        known, or no such thing
    :param largest_by_lfs: and in that of Git LFS alone, likewise
    """

    bytes: int
    files: int
    largest: int
    archive: Archive = ""
    unpacked: int = 0
    revision: str = ""
    etag: str = ""
    basis: Basis = "measured"
    largest_by_xet: int | None = None
    largest_by_lfs: int | None = None


@dataclass(frozen=True)
class Failure:
    """Why a model is not measured. `reason` is a word for conditions and metrics; `message` is for people."""

    reason: str
    message: str
    retry_after: float = 300


Knowledge = ModelFacts | Failure
