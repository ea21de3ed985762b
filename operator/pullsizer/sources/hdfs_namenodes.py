"""The namenodes of a Hadoop file system: which the Secret names, and which of them answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from urllib.parse import quote

import orjson
from yarl import URL

from pullsizer.errors import MeasureError
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import normal_host
from pullsizer.sources.alone import WhenLarge
from pullsizer.sources.answers import refuse
from pullsizer.sources.client import Answer, Client
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.redirects import Private, follow
from pullsizer.sources.secret_headers import secret_headers

_ANSWER: Final = 8 << 20
"""Bytes: some 25,000 files of one folder, at 300 bytes each."""
_REFUSAL: Final = 16 << 10
_MOST_NAMENODES: Final = 8
_NEXT: Final = frozenset({"StandbyException", "RetriableException"})
_REMEDY: Final = "write the model's size into the annotation pullsizer.dev/model-size"


@dataclass(frozen=True)
class Cluster:
    """How to reach a file system, as KServe's Secret says: `HDFS_NAMENODE` and the keys beside it.

    :param root: of all paths; relative to the user's home, if not to `/`
    :param proxy_user: as whom to ask
    :param tls: whom to trust, where that is said
    """

    namenodes: tuple[URL, ...]
    root: str = ""
    proxy_user: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None


def cluster_of(access: Access) -> Cluster:
    """What the Secret says.

    :raises MeasureError: when there is none, or it asks for what the operator cannot do
    """
    texts = [text.strip() for text in access.get("HDFS_NAMENODE").split(";") if text.strip()]
    if not texts:
        raise failure(
            "Unauthorized",
            "the namenode is named in a Secret (HDFS_NAMENODE), which the operator may not use for this namespace; "
            f"{_REMEDY}, or ask an administrator to allow credentials for the namespace",
        )
    if access.get("KERBEROS_PRINCIPAL"):
        raise failure(
            "UnsupportedSource", f"the Secret asks for Kerberos, which the operator does not speak; {_REMEDY}"
        )
    if access.get("TLS_CERT"):
        raise failure(
            "UnsupportedSource",
            f"the Secret has a client certificate (TLS_CERT), which the operator never uses; {_REMEDY}",
        )
    try:
        namenodes = tuple(URL(text) for text in texts[:_MOST_NAMENODES])
        for url in namenodes:
            normal_host(url.raw_host or "")
        valid = all(url.scheme in ("http", "https") and not url.query_string for url in namenodes)
    except ValueError:
        valid = False
    if not valid:
        raise failure(
            "InvalidURI",
            "HDFS_NAMENODE in the Secret is not a URL; write it as http://namenode:9870, several with ; between them",
        )
    return Cluster(
        namenodes,
        access.get("HDFS_ROOTPATH"),
        access.get("USER_PROXY"),
        secret_headers(access.get("HEADERS"), "the namenode"),
        _tls(access),
    )


def _tls(access: Access) -> ssl.SSLContext | None:
    if access.get("TLS_SKIP_VERIFY").lower() == "true":
        # As the downloader does with this Secret: who could listen learns no more than by listening to it.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if pem := access.get("TLS_CA"):
        try:
            return ssl.create_default_context(cadata=pem)
        except ssl.SSLError:
            raise failure("TLSError", "TLS_CA in the Secret holds no certificates; write them as PEM") from None
    return None


class Namenodes:
    """Asks the one that is active."""

    def __init__(self, client: Client, cluster: Cluster, seconds: float, when_large: WhenLarge) -> None:
        self._client, self._cluster, self._when_large = client, cluster, when_large
        self._left = list(cluster.namenodes)
        self._share = seconds / len(self._left)
        """Seconds until the next one is asked, if there is one."""

    @property
    def about(self) -> str:
        return f"the namenode {shown(self._left[0].host or '')}"

    async def ask(self, path: str, operation: str) -> Any:
        """What an operation answers. Namenodes that are not active are not asked again.

        :raises MeasureError: as the last one of them fails
        """
        while True:
            try:
                return await self._asked(path, operation)
            except MeasureError as error:
                if error.reason != "SourceUnavailable" or len(self._left) == 1:
                    raise
                del self._left[0]

    async def _asked(self, path: str, operation: str) -> Any:
        found = await self._within(self._follow(path, {"op": operation}, _ANSWER))
        if found.status != 200:
            self._refuse(found)
        try:
            return orjson.loads(found.body)
        except ValueError:
            raise self.odd() from None

    async def read(self, path: str, at: int, length: int) -> bytes:
        """A piece of a file; a datanode gives it."""
        found = await self._follow(path, {"op": "OPEN", "offset": str(at), "length": str(length)}, length)
        return found.body if found.status == 200 else b""

    async def _within(self, answer: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._share if len(self._left) > 1 else None):
                return await answer
        except TimeoutError:
            raise failure("SourceUnavailable", f"{self.about} does not answer") from None

    async def _follow(self, path: str, query: Mapping[str, str], most: int) -> Answer:
        base, cluster = self._left[0], self._cluster
        who = {"doas": cluster.proxy_user} if cluster.proxy_user else {}
        url = base.with_path(f"{base.raw_path.rstrip('/')}/webhdfs/v1{quote(path)}", encoded=True)
        found, _ = await follow(
            self._client,
            "GET",
            url.with_query({**query, **who}),
            self.about,
            headers={"Content-Type": "application/octet-stream"},  # for HttpFS
            private=Private(url, cluster.headers),
            most=most,
            most_refused=_REFUSAL,
            when_large=self._when_large,
            tls=cluster.tls,
        )
        return found

    def _refuse(self, found: Answer) -> NoReturn:
        """Raises what a refusal means."""
        if _exception(found.body) in _NEXT:
            raise failure("SourceUnavailable", f"{self.about} is not the active one")
        if found.status == 401 and "negotiate" in found.headers.get("WWW-Authenticate", "").lower():
            raise failure(
                "Unauthorized", f"{self.about} asks for Kerberos, which the operator does not speak; {_REMEDY}"
            )
        if found.status in (401, 403):
            raise failure("Unauthorized", f"{self.about} does not let the operator see the model; {_REMEDY}")
        refuse(found, self.about, "path")

    def odd(self) -> MeasureError:
        return failure("InvalidAnswer", f"{self.about} answers with what is not WebHDFS")


def _exception(body: bytes) -> str:
    """The name of a Java exception, if that is what the body tells of."""
    try:
        return str(orjson.loads(body)["RemoteException"]["exception"])
    except (ValueError, KeyError, TypeError):
        return ""
