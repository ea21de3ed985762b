"""The central directory of a zip file: where it is, and what its entries say comes out of them. Pure.

Who made the archive wrote the directory, and may have lied in it. What matters here is that nothing in it makes us
crash, loop or keep much, and that no lie makes the answer smaller than the bytes that are stored. Where things are is
read as Python's `zipfile` reads it: the downloader unpacks with that.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

_END: Final = struct.Struct("<4s6xHLLH")  # signature, entries, length, offset, length of the comment
_END64: Final = struct.Struct("<4s28xQQQ")
_LOCATOR64: Final = struct.Struct("<4s16x")
_ENTRY: Final = struct.Struct("<4s6xH8xLLHHH12x")  # signature, method, stored and unpacked bytes, name, extra, comment
_EXTRA: Final = struct.Struct("<HH")
_LOCAL_HEADER: Final = 30
_IN_EXTRA: Final = 0xFFFFFFFF

TAIL: Final = _END.size + 0xFFFF + _END64.size + _LOCATOR64.size
"""Bytes from the end within which the directory's end is found: its record, the longest comment, and ZIP64's part."""
DEFLATE: Final = 1032
"""What deflate makes of a byte at most: 258 bytes from each two bits (zlib.net/zlib_tech.html)."""
_STORED: Final = 0


@dataclass(frozen=True)
class Directory:
    """Where a directory lies in its file, and how many entries it should have."""

    start: int
    length: int
    entries: int


def locate(tail: bytes, size: int) -> Directory | None:
    """The directory of a file of `size` bytes; None where it is no zip, or where its directory is not in it.

    :param tail: the file's last bytes: `TAIL` of them, or all
    """
    end = len(tail) - _END.size
    if end < 0:
        return None
    if not (tail.startswith(b"PK\5\6", end) and tail.endswith(b"\0\0")):  # else it has no comment
        end = tail.rfind(b"PK\5\6", 0, end + 4)
        if end < 0:
            return None
    _, entries, length, _, _ = _END.unpack_from(tail, end)
    directory_end = end
    locator = end - _LOCATOR64.size
    end64 = locator - _END64.size
    if end64 >= 0 and tail.startswith(b"PK\6\7", locator) and tail.startswith(b"PK\6\6", end64):
        _, entries, length, _ = _END64.unpack_from(tail, end64)
        directory_end = end64
    # It lies just before its end, wherever its offset says: so is a zip read that something else was put before.
    start = size - len(tail) + directory_end - length
    return Directory(start, length, entries) if start >= 0 else None


class Entries:
    """Adds a directory up as its bytes come in, and keeps no more than one entry of it.

    :ivar broken: it is no directory; the downloader will say so, too
    :ivar doubtful: an entry said what cannot be, and counts with what can
    """

    def __init__(self) -> None:
        self.read = self.count = self.stored = self.unpacked = self.headers = 0
        self.broken = self.doubtful = False
        self._rest = b""

    def feed(self, chunk: bytes, *, last: bool) -> None:
        """:param last: whether the directory ends with it. An entry that is cut off there counts: `zipfile` takes it"""
        self.read += len(chunk)
        data, at = self._rest + chunk, 0
        while not self.broken and len(data) - at >= _ENTRY.size:
            signature, method, stored, unpacked, name, extra, comment = _ENTRY.unpack_from(data, at)
            after_name = at + _ENTRY.size + name
            after = after_name + extra + comment
            if signature != b"PK\1\2":
                self.broken = True
            elif after > len(data) and not last:
                break
            else:
                if _IN_EXTRA in (stored, unpacked):
                    stored, unpacked = self._large(stored, unpacked, data[after_name : after_name + extra])
                self._add(method, stored, unpacked)
                self.headers += _LOCAL_HEADER + name
                at = after
        self._rest = data[at:]
        self.doubtful |= last and at != len(data)

    def _large(self, stored: int, unpacked: int, extra: bytes) -> tuple[int, int]:
        """The sizes that stand in ZIP64's extra field because they do not fit, or are said not to."""
        wanted = [size == _IN_EXTRA for size in (unpacked, stored)]
        at = 0
        while at + _EXTRA.size <= len(extra):
            kind, length = _EXTRA.unpack_from(extra, at)
            at += _EXTRA.size
            if kind == 1 and 8 * sum(wanted) <= length <= len(extra) - at:
                values = struct.iter_unpack("<Q", extra[at : at + 8 * sum(wanted)])
                unpacked, stored = (
                    next(values)[0] if want else size for want, size in zip(wanted, (unpacked, stored), strict=True)
                )
                return stored, unpacked
            at += length
        self.broken = True
        return stored, unpacked

    def _add(self, method: int, stored: int, unpacked: int) -> None:
        # bzip2 and LZMA make more than deflate of nothing but long runs of one byte.
        most = stored if method == _STORED else stored * DEFLATE
        # What cannot be compressed grows by less than that: by 0.03 % with deflate, by 1 % with bzip2.
        least = stored - (stored >> 6) - 1024
        possible = least <= unpacked <= most
        self.doubtful |= not possible
        self.count += 1
        self.stored += stored
        self.unpacked += unpacked if possible else most if unpacked > most else stored


def total(entries: Entries, directory: Directory, size: int) -> tuple[int, bool]:
    """Bytes that come out of an archive of `size` bytes, 0 where that cannot be told; and whether it is no estimate.

    :param entries: of the directory, or of its beginning where it is longer than is worth reading
    """
    if entries.broken or not entries.stored:
        return 0, False
    most = size * DEFLATE
    if entries.read < directory.length:
        return min(entries.unpacked * size // entries.stored, most), False
    used = entries.stored + entries.headers
    # Local headers hold more than what is counted: extra fields of their own, alignment, checksums after the data.
    spare = (directory.start >> 6) + 128 * entries.count + 4096
    agrees = entries.count == directory.entries and used <= directory.start <= used + spare
    if agrees and not entries.doubtful:
        return entries.unpacked, True
    # Sizes that cannot be, parts of the file that no entry owns up to, or that several share: more than deflate makes
    # of all that is stored does not come out, since `zipfile` refuses entries that overlap.
    return min(max(entries.unpacked, size), most), False
