"""Object stores, through `obstore`: names and sizes, page by page.

The library is a whole HTTP client of its own. So each question gets a ticket for the door, which is good for its
store's hosts alone and ends all its connections; and what the library would use of the process's environment is
overruled, or taken away.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import obstore

from pullsizer import __version__
from pullsizer.sources.egress import Door
from pullsizer.sources.failures import failure
from pullsizer.sources.object_errors import Asked, explaining
from pullsizer.sources.tickets import Ticket

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

    Store: TypeAlias = AzureStore | GCSStore | S3Store

_MOST_OBJECTS: Final = 1_000_000
"""Listed for one model. At a tenth of a second a thousand it is a hundred seconds; models have a few thousand."""
_ANSWER: Final = 8 << 20
"""Bytes of one answer, which the library keeps whole: Azure's pages have 5,000 blobs, at some 800 bytes each."""
_PAGE: Final = 1000

# Read by the library from the process's environment, without any value that would mean none, and by nobody else:
# the operator's own keys, that it would send to a user's store, or that it refuses to work with.
_ENVIRONMENT: Final = (
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_BUCKET_KEY_ENABLED",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
    "AWS_SSE_KMS_KEY_ID",
    "AZURE_ENCRYPTION_KEY",
    "AZURE_STORAGE_ENCRYPTION_KEY",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
)


class Bucket:
    """One bucket, for one question."""

    def __init__(self, store: Store, asked: Asked, ticket: Ticket) -> None:
        self._store = store
        self._asked = asked
        self._ticket = ticket
        self.listed = 0
        """Objects so far."""

    async def find(self, key: str) -> ObjectMeta | None:
        """An object by its name."""
        with explaining(self._asked, self._ticket):
            try:
                return await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return None

    async def pages(self, folder: str, after: str = "") -> AsyncGenerator[Sequence[ObjectMeta]]:
        """All objects in a folder and below, in the store's order: that of their names.

        :param after: begin with the first name that is greater
        """
        with explaining(self._asked, self._ticket):
            stream = obstore.list(self._store, folder or None, offset=after or None, chunk_size=_PAGE)
        while True:
            with explaining(self._asked, self._ticket):
                try:
                    page = await anext(stream)
                except StopAsyncIteration:
                    return
            self.listed += len(page)
            if self.listed > _MOST_OBJECTS:
                raise failure(
                    "UnsupportedSource",
                    f"{self._asked.about} has more than {_MOST_OBJECTS:,} objects there; write the model's size into "
                    "the annotation pullsizer.dev/model-size",
                )
            yield page

    async def read(self, key: str, start: int, length: int) -> bytes:
        """A part of an object."""
        with explaining(self._asked, self._ticket):
            return bytes(await obstore.get_range_async(self._store, key, start=start, length=length))


class Objects:
    """The way to object stores.

    :param certificates: PEM of those whom the operator trusts besides the system's
    """

    def __init__(self, door: Door, certificates: bytes = b"") -> None:
        self._door = door
        self._certificates = certificates
        quiet()

    @asynccontextmanager
    async def open(
        self,
        make: Callable[[ClientConfig, RetryConfig], Store],
        asked: Asked,
        targets: Collection[tuple[str, int]],
        *,
        certificates: str = "",
        verify: bool = True,
        plain: bool = False,
    ) -> AsyncIterator[Bucket]:
        """A bucket to ask.

        :param make: the library's store
        :param targets: hosts and ports that it may call
        :param certificates: PEM of those whom the namespace trusts
        :param verify: whether certificates count at all, as the namespace has it
        :param plain: whether the store is called without TLS
        """
        async with self._door.ticket(targets, _ANSWER) as ticket:
            options: ClientConfig = {
                "proxy_url": ticket.url(self._door.url),
                "proxy_excludes": "",
                "allow_http": plain,
                "allow_invalid_certificates": not verify,
                "user_agent": f"pullsizer/{__version__}",
                # A connection for each request: so the bound on a connection's bytes is one on each answer's.
                "pool_max_idle_per_host": "0",
                # The measurer's own time bounds all.
                "timeout": "1 day",
                "connect_timeout": "1 day",
            }
            if trusted := self._certificates + certificates.encode():
                options["root_certificate"] = trusted
            try:
                # Some 5 ms on the loop, where TLS counts: the system's certificates are read each time.
                store = make(options, {"max_retries": 0})
            except Exception:  # noqa: BLE001 - of any class; its text may show a credential
                raise failure(
                    "Unauthorized",
                    f"{asked.about} cannot be asked: a key or a certificate that the Secret holds for it is not valid",
                ) from None
            yield Bucket(store, asked, ticket)


def quiet() -> None:
    """Takes away what the library would use of the process's environment and cannot be told not to."""
    for name in [name for name in os.environ if name.upper() in _ENVIRONMENT]:
        del os.environ[name]
