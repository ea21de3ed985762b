"""Google Cloud Storage: fake-gcs-server over a folder, in which a file is an object."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.controlplane import binaries
from tests.controlplane.ports import HOST

from .servers import Content, Servers, fresh, lay


@dataclass(frozen=True)
class Bucket:
    """A bucket; as its objects are laid down as files, ten thousand take a second."""

    name: str
    folder: Path

    def put(self, objects: Mapping[str, Content]) -> None:
        """Objects by name, the old ones of the same names replaced.

        The checksum of zeros is made up from their number: to hash terabytes would take hours.
        """
        for name, content in objects.items():
            path = self.folder / name
            lay(path, content)
            hashed = content if isinstance(content, bytes) else f"{content} zeros".encode()
            digest = base64.b64encode(hashlib.md5(hashed, usedforsecurity=False).digest()).decode()
            generation = path.stat().st_mtime_ns // 1000
            _describe(path, {"Md5Hash": digest, "Etag": digest, "StorageClass": "STANDARD", "Generation": generation})


def _describe(path: Path, attributes: Mapping[str, object]) -> None:
    """Where the server looks for it: in an extended attribute, or beside the file where the disk has none."""
    encoded = json.dumps(attributes).encode()
    try:
        os.setxattr(path, "user.metadata", encoded)
    except OSError:
        path.with_name(f"{path.name}.metadata").write_bytes(encoded)


@dataclass(frozen=True)
class GcsServer:
    """The server; it takes every credential, and none."""

    endpoint: str
    tls_endpoint: str
    ca: Path
    folder: Path

    @classmethod
    def start(cls, servers: Servers) -> Self:
        address = servers.address("gcs", "storage.googleapis.com", "*.storage.googleapis.com")
        server = cls(address.endpoint, address.tls_endpoint, servers.pki.ca, servers.data("gcs"))
        argv = [
            str(binaries.path("fake-gcs-server")),
            f"-root={server.folder}",
            f"-host={HOST}",
            f"-http={HOST}:{address.plain}",
            f"-https={HOST}:{address.secure}",
            f"-cert={address.certificate}",
            f"-key={address.key}",
        ]
        health = "/_internal/healthcheck"
        servers.start("gcs", argv, server.endpoint + health, server.tls_endpoint + health)
        return server

    def bucket(self) -> Bucket:
        """A new bucket."""
        name = fresh("bucket")
        (self.folder / name).mkdir()
        return Bucket(name, self.folder / name)
