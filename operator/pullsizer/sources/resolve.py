"""Names to addresses, without holding up the loop or one another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias

from pullsizer.sources.addresses import Address, literal

Lookup: TypeAlias = Callable[[str], Collection[str]]
"""A name's addresses, as texts. Blocks; raises OSError where there are none."""

_KEPT: Final = 10.0
"""Seconds that an answer is kept. In a pod each lookup is up to ten queries (`ndots:5`, two families), and measuring
a few hundred models asks for the Hub's name as often. Safe against rebinding: what was checked is what is dialled."""
_MOST: Final = 1024
_THREADS: Final = 16
_TRUSTED_THREADS: Final = 4


def system_lookup(host: str) -> list[str]:
    """The addresses that the system knows, in the order in which they should be tried (RFC 6724)."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver:
    """Looks names up, each once at a time.

    A libc's lookup cannot be stopped and may take half a minute where a name server does not answer, and users choose
    the name servers of their names. So the administrator's endpoints have threads of their own.
    """

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._pool = ThreadPoolExecutor(_THREADS, "resolve")
        self._trusted_pool = ThreadPoolExecutor(_TRUSTED_THREADS, "resolve-endpoint")
        self._known: dict[str, tuple[float, asyncio.Future[tuple[Address, ...]]]] = {}

    async def addresses(self, host: str, *, trusted: bool) -> tuple[Address, ...]:
        """The host's addresses; none where the name is not known."""
        address = literal(host)
        if address is not None:
            return (address,)
        loop = asyncio.get_running_loop()
        until, found = self._known.get(host, (0.0, None))
        if found is None or loop.time() >= until or (found.done() and (found.cancelled() or not found.result())):
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            found = loop.run_in_executor(self._trusted_pool if trusted else self._pool, self._look_up, host)
            self._known[host] = (loop.time() + _KEPT, found)
        # Others may wait for the same answer: who stops waiting must not take it from them.
        return await asyncio.shield(found)

    def _look_up(self, host: str) -> tuple[Address, ...]:
        try:
            texts = self._lookup(host)
        except (OSError, UnicodeError):
            return ()
        # A scope (`fe80::1%eth0`) makes no difference to what is allowed.
        found = (literal(text.partition("%")[0]) for text in texts)
        return tuple(address for address in found if address is not None)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._trusted_pool.shutdown(wait=False, cancel_futures=True)
