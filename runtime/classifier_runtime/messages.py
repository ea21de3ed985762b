"""What strangers sent, as messages quote it: never much, and never for long."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from reprlib import Repr
from typing import Final

_LONGEST_NAME: Final = 64


class _Beginning(Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict = 2, 4, 4
        self.maxstring = self.maxother = 100


_BEGINNING: Final = _Beginning()


def shown(value: object) -> str:
    """A value of JSON. Python's own `repr` of it can be megabytes, and fails on lists a thousand deep."""
    return _BEGINNING.repr(value)


def nearest(name: str, known: Iterable[str], *, alike: float = 0.6) -> str | None:
    """What a name was probably meant to be. Not of what is too long for one: it would be compared for seconds.

    :param alike: at least, of 1
    """
    if len(name) > _LONGEST_NAME:
        return None
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=alike)), None)
