"""How much of large requests is in memory at once: each is bounded, and a hundred of them would be a hundredfold."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from classifier_runtime.errors import Overloaded

REQUESTS_AT_ONCE: Final = 8
"""Of the largest size that have room at once: 256 MiB, unless told otherwise."""
SMALL: Final = 65_536
"""Bytes of a request that always has room: who only announces large ones keeps large ones out, and no others."""


class Room:
    """Of all requests.

    :param most_bytes: of them together, but for small ones; a lone one always has room
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self.taken = 0

    def of(self, size: int) -> Place:
        """Room for a request, from `with` on.

        :param size: bytes, or as many as there can be where nobody knows
        """
        return Place(self, size)

    def take(self, size: int) -> None:
        if size and self.taken and self.taken + size > self._most:
            raise Overloaded("requests of this size have no room beside those that are being answered; come again")
        self.taken += size


class Place:
    """One request's."""

    __slots__ = ("_room", "_size")

    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self._size = size if size > SMALL else 0

    def __enter__(self) -> None:
        self._room.take(self._size)

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._room.taken -= self._size
