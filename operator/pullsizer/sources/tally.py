"""What the downloader will take of a bucket, added up name by name: sums and a digest are all that is kept. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pullsizer.model import Archive, Basis, ModelFacts

if TYPE_CHECKING:
    from hashlib import _Hash

_ETAG: Final = re.compile(r'(?:W/)?"?[!#-~]{1,200}"?')


@dataclass(frozen=True)
class Item:
    """An object that the downloader takes.

    :param key: its name in the bucket
    :param name: of the file that it becomes, from which the downloader guesses whether that is an archive
    """

    key: str
    name: str
    size: int
    etag: str


@dataclass
class Tally:
    """The sum so far.

    :param last: the latest object; the only one where there is one
    """

    bytes: int = 0
    files: int = 0
    largest: int = 0
    last: Item | None = None
    _digest: _Hash = field(default_factory=hashlib.sha256, repr=False)

    def add(self, item: Item) -> None:
        self.bytes += item.size
        self.files += 1
        self.largest = max(self.largest, item.size)
        self.last = item
        self._digest.update(f"{item.key}\0{item.size}\0{item.etag}\n".encode(errors="surrogatepass"))

    def facts(self, archive: Archive = "", unpacked: int = 0, basis: Basis = "measured") -> ModelFacts:
        """All that was added.

        Its ETag is a single object's own, and else a digest of all names, sizes and ETags: stores have none for many.
        So whether many are unchanged is known once they are listed again.
        """
        etag = self._digest.hexdigest()
        if self.files == 1 and self.last is not None and _ETAG.fullmatch(self.last.etag):
            etag = self.last.etag
        return ModelFacts(self.bytes, self.files, self.largest, archive, unpacked, etag=etag, basis=basis)
