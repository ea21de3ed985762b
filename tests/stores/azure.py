"""Azure Blob Storage: Azurite, everything in its memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, urlencode, urlsplit

from . import azurite
from .servers import TIMEOUT, Content, Servers, fresh

# Of the one page of which all blobs of zeros are made.
_PAGE: Final = 512


@dataclass(frozen=True)
class Container:
    """A container. Each blob with bytes is a request; those of zeros are one together, ten thousand take a second."""

    name: str
    server: AzureServer

    def put(self, objects: Mapping[str, Content]) -> None:
        """Blobs by name, the old ones of the same names replaced. Those of zeros are page blobs."""
        zeros = {name: content for name, content in objects.items() if isinstance(content, int)}
        with self.server.connected() as connection:
            for name, content in objects.items():
                if isinstance(content, bytes):
                    connection.put(self._path(name), {}, {"x-ms-blob-type": "BlockBlob"}, content)
            if zeros:
                first = next(iter(zeros))
                page = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(_PAGE)}
                connection.put(self._path(first), {}, page)
                connection.copy({"container": self.name, "name": first, "sizes": zeros})

    def _path(self, name: str) -> str:
        return f"/{self.server.account}/{self.name}/{quote(name)}"


@dataclass(frozen=True)
class AzureServer:
    """The server: URLs are ENDPOINT/ACCOUNT/CONTAINER/BLOB; without the account where the host name begins with it."""

    endpoint: str
    tls_endpoint: str
    ca: Path
    account: str = "pullsizer"
    key: str = base64.b64encode(b"key-of-the-account").decode()

    @classmethod
    def start(cls, servers: Servers) -> Self:
        address = servers.address("azure", "*.blob.core.windows.net")
        server = cls(address.endpoint, address.tls_endpoint, servers.pki.ca)
        ports = str(address.plain), str(address.secure)
        files = str(address.certificate), str(address.key)
        argv = [str(azurite.node()), str(azurite.MAIN), str(azurite.folder()), *ports, *files]
        account = {"AZURITE_ACCOUNTS": f"{server.account}:{server.key}"}
        servers.start("azure", argv, server.endpoint, server.tls_endpoint, **account)
        return server

    def container(self, *, public: bool = False) -> Container:
        """A new container; a public one may be listed and read by strangers."""
        name = fresh("container")
        with self.connected() as connection:
            access = {"x-ms-blob-public-access": "container"} if public else {}
            connection.put(f"/{self.account}/{name}", {"restype": "container"}, access)
        return Container(name, self)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=TIMEOUT)
        try:
            yield Connection(connection, self.signature())
        finally:
            connection.close()

    def signature(self, permissions: str = "rwdlac", expiry: str = "2099-01-01T00:00:00Z") -> dict[str, str]:
        """A shared access signature of the account, as the parameters of a query."""
        # The order is that of the string to sign: learn.microsoft.com/rest/api/storageservices/create-account-sas
        fields = {"sp": permissions, "ss": "b", "srt": "sco", "st": "", "se": expiry, "sip": "", "spr": "https,http"}
        fields |= {"sv": "2021-12-02", "ses": ""}
        text = "".join(f"{field}\n" for field in (self.account, *fields.values()))
        digest = hmac.digest(base64.b64decode(self.key), text.encode(), hashlib.sha256)
        given = {name: value for name, value in fields.items() if value}
        return given | {"sig": base64.b64encode(digest).decode()}


@dataclass(frozen=True)
class Connection:
    """Requests of the owner of the account."""

    http: http.client.HTTPConnection
    signature: Mapping[str, str]

    def put(self, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes = b"") -> None:
        self._put(f"{path}?{urlencode({**query, **self.signature})}", headers, body)

    def copy(self, asked: Mapping[str, object]) -> None:
        """See main.js."""
        self._put("/-/copies", {}, json.dumps(asked).encode())

    def _put(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.http.request("PUT", url, body, dict(headers))
        with self.http.getresponse() as answer:
            text = answer.read().decode()
            if answer.status != HTTPStatus.CREATED:
                raise RuntimeError(f"Azurite answers {answer.status} to PUT {urlsplit(url).path}: {text}")
