"""The three kinds of object stores, told apart by as little as can be, so that one test is about all of them."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER, Access
from tests.stores.azure import AzureServer
from tests.stores.gcs import GcsServer
from tests.stores.s3 import S3Server
from tests.stores.servers import Servers

from .conftest import Handler, Serve
from .mapped import Mapped, mapped

Kind = Literal["s3", "gs", "azure"]
KINDS: Final[tuple[Kind, ...]] = ("s3", "gs", "azure")
HOSTS: Final[dict[Kind, str]] = {"gs": "storage.googleapis.com", "azure": "pullsizer.blob.core.windows.net"}
"""Azure's begins with the name of the tests' account."""


class Place(Protocol):
    """A bucket or a container of a real server's."""

    @property
    def name(self) -> str: ...
    def put(self, objects: Mapping[str, bytes | int], /) -> None: ...


@dataclass(frozen=True)
class Shop:
    """A store.

    :param endpoint: where it is on this machine
    :param place: makes a bucket or a container, for everybody or for the owner
    """

    kind: Kind
    endpoint: str
    ca: Path
    owner: Access = STRANGER
    wrong: Access = STRANGER
    place: Callable[[bool], Place] = field(default=lambda _: NotImplemented)

    def source(self, bucket: str, path: str, allow: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> Source:
        root = {"s3": "s3:/", "gs": "gs:/", "azure": f"https://{HOSTS['azure']}"}[self.kind]
        return Source(f"{root}/{bucket}/{path}", allow, ignore)

    def rules(self, timeout: str = "10s") -> SourceRules:
        """What an administrator says: S3 has an endpoint of its own, and nothing else on this machine may be asked."""
        s3 = {"endpoint": self.endpoint} if self.kind == "s3" else {}
        return SourceRules.model_validate({"s3": s3, "timeout": timeout})

    @asynccontextmanager
    async def measurer(self) -> AsyncIterator[Mapped]:
        names = {} if self.kind == "s3" else {f"{HOSTS[self.kind]}:443": self.endpoint}
        async with mapped(names, self.ca) as found:
            yield found


def as_namespace(**environment: str) -> Access:
    return Access("models/uid/1", environment)


def s3_shop(server: S3Server) -> Shop:
    def access(secret: str) -> Access:
        return as_namespace(AWS_ACCESS_KEY_ID=server.access_key, AWS_SECRET_ACCESS_KEY=secret)

    return Shop(
        "s3",
        server.endpoint,
        server.ca,
        access(server.secret_key),
        access("another"),
        lambda public: server.bucket(public=public),
    )


def gs_shop(server: GcsServer) -> Shop:
    def access(key: str = "") -> Access:
        return as_namespace(GOOGLE_APPLICATION_CREDENTIALS=json.dumps(server.service_account(key)))

    return Shop(
        "gs", server.tls_endpoint, server.ca, access(), access(a_key()), lambda public: server.bucket(public=public)
    )


def azure_shop(server: AzureServer) -> Shop:
    return Shop(
        "azure",
        server.tls_endpoint,
        server.ca,
        as_namespace(AZURE_STORAGE_ACCESS_KEY=server.key),
        as_namespace(AZURE_STORAGE_ACCESS_KEY="YW5vdGhlcg=="),
        lambda public: server.container(public=public),
    )


def a_key() -> str:
    """Some RSA key, as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


StandIn: TypeAlias = Callable[[Handler], Awaitable[Shop]]


@asynccontextmanager
async def standing_in(kind: Kind, serve: Serve, servers: Servers) -> AsyncIterator[tuple[StandIn, list[Asked]]]:
    """Makes a store that answers with a handler of the test's, and notes what it was asked.

    Azure's has no blob of the folder's own name, for which it is asked first.
    """
    asked: list[Asked] = []

    async def start(handler: Handler) -> Shop:
        async def noted(request: web.Request) -> web.StreamResponse:
            asked.append(Asked(request.method, request.raw_path, dict(request.headers)))
            if kind == "azure" and request.method == "HEAD":
                return web.Response(status=404)
            return await handler(request)

        context = None if kind == "s3" else tls_of(servers, HOSTS[kind])
        return Shop(kind, (await serve(noted, context)).url(""), servers.pki.ca)

    yield start, asked


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]


def listing(kind: Kind, objects: dict[str, int], more: str = "") -> web.Response:
    """A page of a store's listing.

    :param more: what to ask the next page with
    """
    if kind == "azure":
        text = "".join(
            f"<Blob><Name>{name}</Name><Properties><Last-Modified>Mon, 01 Jan 2024 00:00:00 GMT</Last-Modified>"
            f"<Content-Length>{size}</Content-Length><Content-Type>x/y</Content-Type><Etag>0x1</Etag></Properties></Blob>"
            for name, size in objects.items()
        )
        text = f"<EnumerationResults><Blobs>{text}</Blobs><NextMarker>{more}</NextMarker></EnumerationResults>"
    else:
        text = "".join(
            f"<Contents><Key>{name}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
            f"<Size>{size}</Size></Contents>"
            for name, size in objects.items()
        )
        token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
        token = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}"
        text = f"<ListBucketResult>{token}{text}</ListBucketResult>"
    return web.Response(text=text, content_type="application/xml")


def tls_of(servers: Servers, *names: str) -> ssl.SSLContext:
    """For a server under names of the Internet, with a certificate of the tests' CA."""
    address = servers.address("stand-in", *names)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(address.certificate, address.key)
    return context
