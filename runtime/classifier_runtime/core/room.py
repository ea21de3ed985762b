"""How much of large requests is in memory at once: each is bounded, and a hundred of them would be a hundredfold."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

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

        :param size: bytes that are known to come; a place can grow
        """
        return Place(self, size)

    def take(self, more: int, held: int) -> None:
        """:param held: by who asks; only what others hold keeps anybody out"""
        if self.taken > held and self.taken + more > self._most:
            raise Overloaded("requests of this size have no room beside those that are being answered; come again")
        self.taken += more


class Place:
    """One request's."""

    __slots__ = ("_announced", "_held", "_room")

    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self._announced = size
        self._held = 0

    def __enter__(self) -> Self:
        self.grow(self._announced)
        return self

    def grow(self, size: int) -> None:
        """:param size: bytes that the request has by now, or will have
        :raises Overloaded: there is no room for them
        """
        if size > self._held and size > SMALL:
            self._room.take(size - self._held, self._held)
            self._held = size

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._room.taken -= self._held
