"""Reads a git pack while it comes, and throws it away. Pure. https://git-scm.com/docs/gitformat-pack."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from hashlib import sha1
from typing import Final

from pullsizer.sources.git_delta import applied, number, result_size
from pullsizer.sources.git_objects import BLOB, NAMES, Objects, TooBigError

_MOST_OBJECTS: Final = 100_000
"""Some 300 bytes each are kept of them."""
_MOST_INFLATED: Final = 256 << 20
"""Bytes, all in all: a second of a core. Nobody occupies it for longer with a pack of zeros."""
_STEP: Final = 256 << 10
"""Bytes inflated at a time: a millisecond."""

_OFFSET_DELTA, _REF_DELTA = 6, 7
_SIZES_OF_DELTA: Final = 20
"""Bytes at a delta's begin that hold its two sizes, at most."""


class _Entry:
    """The object that is being read.

    :param base: kind and content of what a delta builds on; None where that is a file, or is not known
    :param keep: how much of it to keep, from its begin
    """

    def __init__(self, kind: int, size: int, offset: int, base: tuple[int, bytes] | None, keep: int) -> None:
        self.kind, self.size, self.offset, self.base, self.keep = kind, size, offset, base, keep
        self.length = 0
        self.text = bytearray()
        self.inflater = zlib.decompressobj()
        self.hash = sha1(b"blob %d\0" % size, usedforsecurity=False)

    def take(self, data: bytes) -> None:
        self.length += len(data)
        if self.length > self.size:
            raise ValueError("longer than it says")
        self.text += data[: self.keep - len(self.text)]
        if self.kind == BLOB:
            self.hash.update(data)


class Pack:
    """A pack, fed piece by piece.

    :param objects: where to put what is in it
    """

    def __init__(self, objects: Objects) -> None:
        self.length = 0
        """Bytes of it so far."""
        self._objects = objects
        self._buffer, self._at = b"", 0
        self._left: int | None = None  # objects to come; not known before the pack's head
        self._trailer = 20  # bytes to come of it
        self._entry: _Entry | None = None
        self._inflated = self._work = 0

    @property
    def complete(self) -> bool:
        return self._left == 0 and not self._trailer and self._entry is None

    def feed(self, data: bytes) -> Iterator[None]:
        """Takes the next bytes in; gives way after each millisecond's work.

        :raises ValueError: for what is not a pack
        :raises TooBigError: for one that is more work than a user may make
        """
        self._buffer, self._at = self._buffer[self._at :] + data, 0
        self.length += len(data)
        try:
            yield from self._read()
        except zlib.error:
            raise ValueError("not deflated") from None

    def _read(self) -> Iterator[None]:
        while True:
            if self._entry is not None:
                if not (yield from self._inflate(self._entry)):
                    return
                self._end(self._entry)
                self._entry = None
            elif self._left is None:
                if not self._head():
                    return
            elif self._left == 0:
                self._trailer -= len(self._buffer) - self._at
                self._at = len(self._buffer)
                if self._trailer < 0:
                    raise ValueError("more than a pack")
                return
            elif not self._begin():
                return

    def _head(self) -> bool:
        head = self._buffer[:12]
        if len(head) < 12:
            return False
        if head[:4] != b"PACK" or int.from_bytes(head[4:8]) not in (2, 3):
            raise ValueError("not a pack")
        self._left = int.from_bytes(head[8:])
        if self._left > _MOST_OBJECTS:
            raise TooBigError
        self._at = 12
        return True

    def _begin(self) -> bool:
        """Reads an object's head, if all of it is there."""
        assert self._left is not None
        data, at = self._buffer, self._at
        offset = self.length - len(data) + at
        place: int | bytes = -1
        try:
            kind, size = data[at] >> 4 & 7, data[at] & 15
            size, at = number(data, at + 1, size, 4) if data[at] & 128 else (size, at + 1)
            if kind == _OFFSET_DELTA:
                back, at = _distance(data, at)
                place = offset - back
            elif kind == _REF_DELTA:
                place, at = data[at : at + 20], at + 20
            elif kind not in NAMES:
                raise ValueError("no such kind of object")
        except IndexError:
            return False
        if len(data) < at:
            return False
        base = self._objects.at(place)
        keep = 0
        if base or (kind in NAMES and kind != BLOB):
            keep = size
            self._objects.make_room(size)
        elif kind not in NAMES:
            keep = _SIZES_OF_DELTA
        if size > _MOST_INFLATED - self._inflated:
            raise TooBigError
        self._entry = _Entry(kind, size, offset, base, keep)
        self._left -= 1
        self._at = at
        return True

    def _inflate(self, entry: _Entry) -> Generator[None, None, bool]:
        """Reads on in an object; whether that is its end."""
        inflater = entry.inflater
        while not inflater.eof:
            piece = inflater.unconsumed_tail
            if not piece:
                # Not more than may belong to it: what is given back is copied. Deflate adds five bytes in 16 KiB.
                rest = entry.size - entry.length
                piece = self._buffer[self._at : self._at + min(rest + (rest >> 10) + 64, _STEP)]
                self._at += len(piece)
                if not piece:
                    return False
            data = inflater.decompress(piece, _STEP)
            entry.take(data)
            self._inflated += len(data)
            self._work += len(data) + 1024  # beside the bytes there is some work for each object
            if self._work > _STEP:
                self._work = 0
                yield
        self._at -= len(inflater.unused_data)
        if entry.length != entry.size:
            raise ValueError("shorter than it says")
        return True

    def _end(self, entry: _Entry) -> None:
        text = bytes(entry.text)
        if entry.kind == BLOB:
            self._objects.add_file(entry.hash.digest(), entry.size)
        elif entry.kind in NAMES:
            self._objects.add_text(entry.offset, entry.kind, text)
        elif entry.base is None:
            self._objects.add_nameless(result_size(text))
        else:
            kind, base = entry.base
            self._objects.make_room(result_size(text))
            self._objects.add_text(entry.offset, kind, applied(base, text))


def _distance(data: bytes, at: int) -> tuple[int, int]:
    """How far before a delta its base begins, and where that ends."""
    byte = data[at]
    value, at = byte & 127, at + 1
    while byte & 128:
        byte = data[at]
        value, at = (value + 1 << 7) | (byte & 127), at + 1
        if value >> 63:
            raise ValueError("too far")
    return value, at
