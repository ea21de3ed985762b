"""Lets `huggingface_hub`, which is synchronous, make its calls with our own client.

The library has one HTTP client for the whole process, made by a factory that can be set. Ours has a transport that
hands each request over to the event loop, where `client` sends it through the door, and waits for the answer. So there
is one place that bounds time and bytes, and a cancelled measurement closes its socket and frees its thread at once:
a thread that reads from a socket by itself can be held for hours by a server that sends a byte now and then.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar

import httpx2
from huggingface_hub import constants, set_client_factory
from huggingface_hub.utils import logging as hub_logging

from pullsizer.sources.client import REDIRECTS

T = TypeVar("T")
Send: TypeAlias = Callable[[httpx2.Request], Coroutine[Any, Any, httpx2.Response]]

_current: Final[ContextVar[_Call]] = ContextVar("_current")


class _Call:
    """One call of the library's, in a thread, and the request of it that the loop is busy with."""

    def __init__(self, send: Send, loop: asyncio.AbstractEventLoop) -> None:
        self._send = send
        self._loop = loop
        self._lock = threading.Lock()
        self._pending: Future[httpx2.Response] | None = None
        self._over = False

    def request(self, request: httpx2.Request) -> httpx2.Response:
        """In the thread: the answer, once the loop has it."""
        with self._lock:
            if self._over:
                raise CancelledError
            self._pending = asyncio.run_coroutine_threadsafe(self._send(request), self._loop)
        return self._pending.result()

    def end(self) -> None:
        """In the loop: nobody waits for the call any more. Its thread gets a CancelledError."""
        with self._lock:
            self._over = True
            if self._pending is not None:
                self._pending.cancel()

    @contextmanager
    def current(self) -> Iterator[None]:
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


class _Transport(httpx2.BaseTransport):
    """Sends a request as the thread's own call does. Without one there is no way out of the process."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        call = _current.get(None)
        if call is None:
            raise httpx2.UnsupportedProtocol("the Hub is called through pullsizer.sources only", request=request)
        return call.request(request)


def _make_client() -> httpx2.Client:
    return httpx2.Client(transport=_Transport(), trust_env=False, follow_redirects=True, max_redirects=REDIRECTS)


@cache
def install() -> None:
    """Makes the library use our client, and say nothing.

    Once a process, and for good: so no call of it, by whom ever, goes around the door.
    """
    set_client_factory(_make_client)
    # Else it asks huggingface.co, before the first question of a process and whichever Hub that is for, whether the
    # environment looks like a program's that it wants to know of.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    hub_logging.set_verbosity(logging.CRITICAL)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of each request


async def call(function: Callable[[], T], send: Send, pool: ThreadPoolExecutor) -> T:
    """What a function that uses the library returns, run in a thread of the pool.

    :param send: how to send its requests
    """
    loop = asyncio.get_running_loop()
    ours = _Call(send, loop)

    def work() -> T:
        with ours.current():
            return function()

    try:
        return await loop.run_in_executor(pool, work)
    finally:
        ours.end()
