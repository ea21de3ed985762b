"""Redirects: each hop is a request of its own, so the door checks each; what is secret stays with who may know it."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from yarl import URL

from pullsizer.sources.client import REDIRECTED, REDIRECTS, Answer, Client
from pullsizer.sources.failures import failure


@dataclass(frozen=True)
class Private:
    """Headers for one server, and for no other that it sends us to.

    :param home: any URL on that server
    """

    home: URL
    headers: Mapping[str, str] = field(repr=False)

    def at(self, url: URL) -> Mapping[str, str]:
        """Those of the headers that may go to a URL: all, or none. TLS may be added on the way, never left."""
        home, there = (_origin(one) for one in (self.home, url))
        upgraded = (home[0], home[2], there[0], there[2]) == ("http", 80, "https", 443) and home[1] == there[1]
        return self.headers if home == there or upgraded else {}


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


_NONE: Final[Mapping[str, str]] = {}
NOTHING: Final = Private(URL(), _NONE)


async def follow(
    client: Client,
    method: Literal["GET", "HEAD"],
    url: URL,
    about: str,
    *,
    headers: Mapping[str, str] = _NONE,
    private: Private = NOTHING,
    most: int = 0,
    most_refused: int = 0,
    when_large: Callable[[], Awaitable[None]] | None = None,
    tls: ssl.SSLContext | None = None,
) -> tuple[Answer, URL]:
    """The answer after redirects, and where it came from.

    :param about: whom errors name. Where a server sends us is a thing that it said, and not told
    :param most: as of `Client.ask`, and so are those after it
    """
    for _ in range(REDIRECTS + 1):
        found = await client.ask(
            method,
            url,
            about,
            {**private.at(url), **headers},
            most=most,
            most_refused=most_refused,
            when_large=when_large,
            tls=tls,
        )
        location = found.headers.get("Location")
        if found.status not in REDIRECTED or location is None:
            return found, url
        try:
            url = url.join(URL(location)).with_fragment(None)
        except ValueError:
            raise failure("InvalidAnswer", f"{about} redirects to what is not a URL") from None
    raise failure("InvalidAnswer", f"{about} redirects more than {REDIRECTS} times")
