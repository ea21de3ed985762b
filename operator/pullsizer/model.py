"""What is known of a model: where it comes from, how big it is, or why that is not known."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

Archive = Literal["", "tar", "tar.gz", "zip"]
ARCHIVES: Final[tuple[Archive, ...]] = ("", "tar", "tar.gz", "zip")

NOT_PULLED: Final = frozenset({"pvc", "oci+native", "file"})
"""Schemes of sources that are mounted: no container downloads them."""
MEASURABLE: Final = frozenset({"hf", "http", "https"})
"""Schemes that the controller measures. For all others nobody needs to wait."""


_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")  # RFC 3986


@dataclass(frozen=True)
class Source:
    """One thing to download, as the downloader is told: a URI and the filters that apply to its files."""

    uri: str
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @cached_property
    def scheme(self) -> str:
        head, separator, _ = self.uri.partition("://")
        return head.lower() if separator and _SCHEME.fullmatch(head) else ""

    @property
    def pulled(self) -> bool:
        return bool(self.scheme) and self.scheme not in NOT_PULLED

    @property
    def measurable(self) -> bool:
        return self.scheme in MEASURABLE

    @property
    def public_uri(self) -> str:
        """The URI without what may be a secret in it: user information and query.

        Passwords are pasted unescaped, with `/`, `?`, `#` and `@` in them. So all up to the last `@` goes, though it
        may be part of a path. Where a `?` or `#` comes before it, either side may be the secret, and neither is shown.
        """
        scheme, separator, rest = self.uri.partition("://")
        if not self.scheme:
            scheme, separator, rest = "", "", self.uri
        hidden, at, rest = rest.rpartition("@")
        if at and ("?" in hidden or "#" in hidden):
            rest = "…"
        return f"{scheme}{separator}{rest.partition('?')[0].partition('#')[0]}"

    def selects(self, path: str) -> bool:
        """Whether the downloader would take the file, by `huggingface_hub`'s rules: fnmatch on the relative path."""
        if self.allow and not any(fnmatch.fnmatchcase(path, _folder(pattern)) for pattern in self.allow):
            return False
        return not any(fnmatch.fnmatchcase(path, _folder(pattern)) for pattern in self.ignore)


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
    :param revision: what was measured, where the source has revisions (a commit of the Hub)
    :param etag: what the source named this version, for asking again cheaply
    """

    bytes: int
    files: int
    largest: int
    archive: Archive = ""
    revision: str = ""
    etag: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a model is not measured. `reason` is a word for conditions and metrics; `message` is for people."""

    reason: str
    message: str
    retry_after: float = 300


Knowledge = ModelFacts | Failure
