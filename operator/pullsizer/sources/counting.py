"""Who is told of each request to a Hub: a question can take none of them, or several where the Hub redirects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

Told = Callable[[], None]

_told: Final[ContextVar[Told]] = ContextVar("_told")


@contextmanager
def counting(told: Told) -> Iterator[None]:
    """While it lasts: `told` is called on the event loop whenever a request is about to be sent for what is asked here.

    A request that serves others, too, is told to the first who asked.
    """
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def who_counts() -> Told:
    """Whoever is to be told of requests that are made from here."""
    return _told.get(_nobody)


def _nobody() -> None:
    pass
