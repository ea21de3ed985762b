"""One request, one bounded answer, through the door; and every way in which that fails, as a `MeasureError`."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from pullsizer import __version__
from pullsizer.sources.egress import USER, Door
from pullsizer.sources.failures import failure, refusal
from pullsizer.sources.proxying import basic

REDIRECTS: Final = 5
REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
_SCHEMES: Final = ("http", "https")
# Idle connections are kept as long as a burst of new services takes, and less than half of the door's own idle time.
_KEPT_SECONDS: Final = 25
_FEW: Final = 64 << 10
LARGE: Final = 1 << 20
"""Answers up to this are read side by side: all calls at once are some 70 MiB. See `when_large`."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes = b""


class Client:
    """HTTP through the door. An async context manager.

    Nothing is kept between requests but connections: no cookies, no credentials, nothing of the environment. It follows
    no redirect and decompresses nothing: its users decide on each.
    """

    def __init__(self, door: Door, tls: ssl.SSLContext) -> None:
        self._door = door
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0, keepalive_timeout=_KEPT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": f"pullsizer/{__version__}", "Accept-Encoding": "identity", "Accept": "*/*"},
            timeout=aiohttp.ClientTimeout(total=None),  # the measurer's own time bounds all
        )
        self._proxy = URL(self._door.url)
        self._proxy_headers = {"Proxy-Authorization": basic(USER, self._door.secret)}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def ask(
        self,
        method: Literal["GET", "HEAD", "POST"],
        url: URL,
        about: str,
        headers: Mapping[str, str],
        *,
        body: bytes = b"",
        most: int = 0,
        most_refused: int = 0,
        when_large: Callable[[], Awaitable[None]] | None = None,
        each: Callable[[bytes], Awaitable[None]] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Answer:
        """The answer to one request.

        :param about: who is asked, for the messages of errors: never taken from what a server said
        :param body: of a POST, by which some protocols ask; over https only, as the door forwards none
        :param most: bytes of the answer's body to read, at most; 0 leaves it unread
        :param most_refused: the same where the status is not success; there, the rest is left unread
        :param when_large: awaited before more than `LARGE` bytes of the body are read
        :param each: gets the body piece by piece; nothing of it is kept then
        :param tls: whom to trust instead of those whom the operator trusts
        :raises MeasureError: for no answer, and for a longer one
        """
        assert self._session is not None
        if url.scheme not in _SCHEMES or not url.raw_host:
            raise failure("InvalidAnswer", f"{about} redirects to what is not an http(s) URL")
        if url.raw_user or url.raw_password:
            url = url.with_user(None)
        assert url.scheme == "https" or not body
        try:
            response = await self._session.request(
                method,
                url,
                data=body or None,
                ssl=tls or True,
                # aiohttp gives the proxy its headers with CONNECT only; a plain request is itself for the proxy.
                headers={**headers, **self._proxy_headers} if url.scheme == "http" else headers,
                allow_redirects=False,
                proxy=self._proxy,
                proxy_headers=self._proxy_headers,
            )
        except aiohttp.ClientHttpProxyError as error:
            raise refusal(self._door.verdict(error.headers or {}), about) from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise _explained(error, about) from None
        try:
            if verdict := self._door.verdict(response.headers):
                raise refusal(verdict, about)
            if response.status >= 300:
                found = await _begin(response, most_refused)
            else:
                found = await _read(response, most, about, when_large, each) if most else b""
        except (aiohttp.ClientError, OSError) as error:
            raise _explained(error, about) from None
        finally:
            # The door ends after one plain request, so such a connection is not for the pool; nor is one with more of a
            # body to come than is worth reading.
            if url.scheme == "http" or not (response.content.at_eof() or method == "HEAD"):
                response.close()
            else:
                response.release()
        return Answer(response.status, response.headers, found)


async def _read(
    response: aiohttp.ClientResponse,
    most: int,
    about: str,
    when_large: Callable[[], Awaitable[None]] | None,
    each: Callable[[bytes], Awaitable[None]] | None,
) -> bytes:
    """The body, if it is not more than `most` bytes."""
    if (response.content_length or 0) > most:
        raise failure("InvalidAnswer", f"{about} answers with more than {most >> 20} MiB")
    body, length = bytearray(), 0
    async for chunk in response.content.iter_chunked(_FEW):
        length += len(chunk)
        if when_large is not None and length > LARGE:
            await when_large()
            when_large = None
        if length > most:
            raise failure("InvalidAnswer", f"{about} answers with more than {most >> 20} MiB")
        if each is None:
            body += chunk
        else:
            await each(chunk)
    return bytes(body)


async def _begin(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The first bytes of the body."""
    body = b""
    while len(body) < most and (chunk := await response.content.read(most - len(body))):
        body += chunk
    return body


def _explained(error: Exception, about: str) -> Exception:
    """An error of aiohttp's or the system's in our words: theirs may hold addresses and what the server said."""
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError)):
        return failure(
            "TLSError",
            f"{about} has a certificate that the operator does not trust; a private CA goes into its SSL_CERT_FILE",
        )
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return failure("TLSError", f"no TLS connection with {about} can be made")
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return failure("InvalidURI", f"{about} cannot be asked: the URI is not valid")
    if isinstance(error, aiohttp.ClientResponseError):
        return failure("InvalidAnswer", f"{about} does not answer in HTTP")
    return failure("SourceUnavailable", f"{about} closed the connection before it had answered")
