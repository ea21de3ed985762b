"""Archives: what the downloader will unpack, and how much will come out, told from a few small pieces of the file."""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import Awaitable, Callable
from mimetypes import MimeTypes
from typing import Final, TypeAlias

from pullsizer.errors import MeasureError
from pullsizer.model import Archive, Basis
from pullsizer.quantity import MOST_BYTES
from pullsizer.sources import zipdirectory

Read: TypeAlias = Callable[[int, int], Awaitable[bytes]]
"""A piece of the file: from a position, so many bytes. Fewer where they cannot be had; may raise a `MeasureError`."""

"""That Kubernetes' numbers can hold, and so the most of anything that is told."""

_TYPES: Final = MimeTypes()
"""Not the module's own functions: those also read files of the machine they run on."""
_SECONDS: Final = 5.0
"""For all pieces of one file, half of the default `sources.timeout`: a slow answer is worth less than an estimate."""
_CHUNK: Final = 512 << 10
"""Of a zip's directory at a time: some 6,000 entries, 5 ms of the loop's time to add up."""
_MOST_READ: Final = 16 << 20
"""Of a zip's directory: some 200,000 entries, a tenth of a second to add up. Beyond that, the rest is taken to be like
what was read."""
_TAR_BLOCK: Final = tarfile.BLOCKSIZE


def archive_kind(path: str, query: str = "") -> Archive:
    """What the downloader will unpack. It guesses by the path's ending, or else by the query's.

    `tar` stands for those that bzip2 or xz have compressed, too.
    """
    kind, encoding = _TYPES.guess_type(path)
    if kind is None and query:
        kind, encoding = _TYPES.guess_type(query)
    if kind == "application/zip":
        return "zip"
    if kind == "application/x-tar":
        return "tar.gz" if encoding == "gzip" else "tar"
    return ""


async def unpacked(kind: Archive, size: int, read: Read) -> tuple[int, Basis]:
    """Bytes that come out of an archive of `size` bytes, and whether that is more than a good guess.

    0 and `estimated` is: not known. Pieces that cannot be had in time or at all are no error: how long the file is, is
    known without them. What an archive says of itself is never believed beyond what can be: see `zipdirectory`.
    """
    if not kind:
        return 0, "measured"
    try:
        async with asyncio.timeout(_SECONDS):
            found, certain = await {"zip": _zip, "tar.gz": _gzip, "tar": _tar}[kind](size, read)
    except (MeasureError, TimeoutError):
        return 0, "estimated"
    return min(found, MOST_BYTES), "measured" if certain else "estimated"


async def _zip(size: int, read: Read) -> tuple[int, bool]:
    tail = await read(max(size - zipdirectory.TAIL, 0), min(size, zipdirectory.TAIL))
    directory = zipdirectory.locate(tail, size) if len(tail) == min(size, zipdirectory.TAIL) else None
    if directory is None:
        return 0, False
    entries, at = zipdirectory.Entries(), directory.start
    end = at + min(directory.length, _MOST_READ)
    in_tail = size - len(tail)
    while at < end and not entries.broken:
        length = min(end - at, _CHUNK)
        chunk = tail[at - in_tail :][:length] if at >= in_tail else await read(at, length)
        if len(chunk) != length:
            return 0, False
        at += length
        entries.feed(chunk, last=at == directory.start + directory.length)
    return zipdirectory.total(entries, directory, size)


async def _gzip(size: int, read: Read) -> tuple[int, bool]:
    trailer = await read(max(size - 4, 0), 4)
    return gzip_size(trailer, size) if len(trailer) == 4 else 0, False


def gzip_size(trailer: bytes, size: int) -> int:
    """What a gzipped tar of `size` bytes inflates to; 0 where its last four bytes do not tell.

    They hold the inflated length modulo 4 GiB. Of all lengths that fit it is the smallest that can be: deflate lets
    nothing grow by more than a thousandth. Weights compress to 0.8 of themselves at best, so beyond 16 GiB several
    lengths may be theirs, and it is the largest of those. What compresses by far more is told too small, by a multiple
    of 4 GiB, which nobody can see without inflating it.

    A tar is made of whole blocks. Anything else is not its length but that of a last member of several, or padding.
    """
    modulo = int.from_bytes(trailer, "little")
    least = max(size - (size >> 10) - 1024, 0)
    found = least + (modulo - least) % (1 << 32)
    found += max(size * 5 // 4 - found, 0) >> 32 << 32
    return found if modulo and modulo % _TAR_BLOCK == 0 and found <= size * zipdirectory.DEFLATE else 0


async def _tar(size: int, read: Read) -> tuple[int, bool]:
    """A tar's own length: files lie in it as they are, each with a header of one block and padded to whole blocks."""
    first = await read(0, min(size, _TAR_BLOCK))
    try:
        tarfile.TarInfo.frombuf(first, "utf-8", "surrogateescape")
    except tarfile.TarError:  # compressed in another way, or no tar
        return 0, False
    return size, True
