"""What is kept of the objects in a git pack, and what a work tree of them takes. Pure.

Of files only names and sizes are kept; of commits and folders, which are small, the text, since that tells which files
make up a work tree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha1
from typing import Final

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
NAMES: Final = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}

_MOST_TEXT: Final = 8 << 20
"""Bytes of commits and folders together: 10,000 files are some 0.5 MB of them."""
_MOST_FILES: Final = 200_000
"""Of a work tree. Folders that hold the same folder many times over are cheap to make."""
_FOLDER: Final = b"40000"
_SUBMODULE: Final = b"160000"


class TooBigError(Exception):
    """More than is read on a user's word."""


@dataclass(frozen=True)
class WorkTree:
    """What a checkout writes.

    :param exact: False where sizes are bounds from above: a file that is stored as a difference to another does not
        tell its name, so it may be one of another branch
    """

    bytes: int
    files: int
    largest: int
    exact: bool


class Objects:
    """All objects of a pack, as far as they are kept."""

    def __init__(self) -> None:
        self._room = _MOST_TEXT
        self._texts: dict[int, tuple[int, bytes]] = {}  # kind and content by offset, of all but files
        self._offsets: dict[bytes, int] = {}  # the same by name
        self._sizes: dict[bytes, int] = {}  # of files by name
        self._nameless: list[int] = []  # sizes of files that are stored as deltas

    def make_room(self, size: int) -> None:
        """Fails where a text is too long to be kept, before it is there.

        :raises TooBigError: when all of them are too much
        """
        if size > self._room:
            raise TooBigError

    def add_text(self, offset: int, kind: int, text: bytes) -> None:
        self.make_room(len(text))
        self._room -= len(text)
        self._texts[offset] = kind, text
        name = sha1(b"%b %d\0%b" % (NAMES[kind], len(text), text), usedforsecurity=False).digest()
        self._offsets[name] = offset

    def add_file(self, name: bytes, size: int) -> None:
        self._sizes[name] = size

    def add_nameless(self, size: int) -> None:
        self._nameless.append(size)

    def at(self, place: int | bytes) -> tuple[int, bytes] | None:
        """Kind and content of what begins at an offset or has a name; None for files, and for what is not there."""
        return self._texts.get(place if isinstance(place, int) else self._offsets.get(place, -1))

    def work_tree(self, commit: bytes) -> WorkTree:
        """What a checkout of a commit writes.

        :raises ValueError: when it is not in the pack
        :raises TooBigError: for more files than are counted
        """
        text = self._text(commit, COMMIT)
        if text is None:
            raise ValueError("no such commit")
        wanted: Counter[bytes] = Counter()
        folders, seen = [bytes.fromhex(text[5:45].decode("ascii"))], 0
        while folders:
            folder = self._text(folders.pop(), TREE)
            if folder is None:  # a difference to something that came later
                every = [*self._sizes.values(), *self._nameless]
                return WorkTree(sum(every), len(every), max(every, default=0), exact=False)
            for mode, name in _entries(folder):
                seen += 1
                if seen > _MOST_FILES:
                    raise TooBigError
                if mode == _FOLDER:
                    folders.append(name)
                elif mode != _SUBMODULE:
                    wanted[name] += 1
        return self._sum(wanted)

    def _sum(self, wanted: Counter[bytes]) -> WorkTree:
        named = {name: self._sizes[name] for name in wanted if name in self._sizes}
        nameless = sorted((count for name, count in wanted.items() if name not in named), reverse=True)
        deltas = sorted(self._nameless, reverse=True)
        if len(nameless) > len(deltas):
            raise ValueError("files that are not in the pack")
        total = sum(size * wanted[name] for name, size in named.items())
        total += sum(count * size for count, size in zip(nameless, deltas, strict=False))
        largest = max([*named.values(), *deltas[: len(nameless)]], default=0)
        exact = not nameless or (len(nameless) == len(deltas) and len(set(nameless)) == 1)
        return WorkTree(total, wanted.total(), largest, exact)

    def _text(self, name: bytes, kind: int) -> bytes | None:
        found = self.at(name)
        return found[1] if found and found[0] == kind else None


def _entries(folder: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Mode and name of each thing in a folder."""
    at = 0
    while at < len(folder):
        end = folder.index(b"\0", at) + 21
        if end > len(folder):
            raise ValueError("half a name")
        yield folder[at : folder.index(b" ", at)], folder[end - 20 : end]
        at = end
