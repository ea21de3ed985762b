"""What git servers speak: lines with their length before them, and a pack in some of those. Pure.

https://git-scm.com/docs/protocol-common, /protocol-v2 and /pack-protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

FLUSH: Final = b"0000"
DELIMITER: Final = b"0001"

_LENGTH: Final = re.compile(rb"[0-9A-Fa-f]{4}")
_NAME: Final = re.compile(rb"[0-9a-f]{40}")
_PACK, _ERROR = 1, 3


def line(text: bytes) -> bytes:
    return b"%04x%b\n" % (len(text) + 5, text)


class Lines:
    """Takes an answer apart as it comes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete by now, without what only separates them.

        :raises ValueError: for what is not made of such lines
        """
        data = self._rest + data
        at = 0
        while len(data) >= at + 4:
            head = data[at : at + 4]
            if not _LENGTH.fullmatch(head):
                raise ValueError("not a line")
            length = int(head, 16)
            if length < 4:
                at += 4
            elif len(data) < at + length:
                break
            else:
                yield data[at + 4 : at + length]
                at += length
        self._rest = data[at:]

    @property
    def complete(self) -> bool:
        return not self._rest


def lines(data: bytes) -> list[bytes]:
    """All lines of an answer.

    :raises ValueError: for what is not made of such lines
    """
    found = Lines()
    texts = [text.removesuffix(b"\n") for text in found.feed(data)]
    if not found.complete:
        raise ValueError("half a line")
    return texts


def packed(texts: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of the pack in the lines of an answer; the rest of it is about what we know.

    :raises ValueError: when the server gave up
    """
    for text in texts:
        band = text[0] if text else 0
        if band == _ERROR or text.startswith(b"ERR "):
            raise ValueError("the server gave up")
        if band == _PACK:
            yield text[1:]


def read_refs(texts: Iterable[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Names and what they stand for, in either version of the protocol.

    :raises ValueError: for anything else
    """
    found = []
    for text in texts:
        commit, _, rest = text.partition(b"\0")[0].partition(b" ")
        name = rest.partition(b" ")[0]
        if commit == b"shallow" or name.endswith(b"^{}"):
            continue  # of the server's own history; a tag's commit, which comes with the tag
        if not _NAME.fullmatch(commit) or not name:
            raise ValueError("not a reference")
        found.append((name, commit))
    return tuple(found)


def wanted(commits: Iterable[bytes], *, v2: bool) -> bytes:
    """The request for a shallow pack."""
    wants = [b"want " + commit for commit in commits]
    if v2:
        every = (b"ofs-delta", b"no-progress", *wants, b"deepen 1", b"done")
        return line(b"command=fetch") + DELIMITER + b"".join(map(line, every)) + FLUSH
    wants[0] += b" ofs-delta side-band-64k no-progress"
    return b"".join(map(line, (*wants, b"deepen 1"))) + FLUSH + line(b"done")
