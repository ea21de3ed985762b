"""Google Cloud Storage: fake-gcs-server over a folder, in which a file is an object, behind an account of ours."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from tests.controlplane import binaries
from tests.controlplane.ports import HOST

from .servers import Content, Servers, fresh, lay, stand_in


@dataclass(frozen=True)
class Bucket:
    """A bucket; as its objects are laid down as files, ten thousand take a second."""

    name: str
    folder: Path

    def put(self, objects: Mapping[str, Content]) -> None:
        """Objects by name, the old ones of the same names replaced."""
        for name, content in objects.items():
            path = self.folder / name
            lay(path, content)
            digest = base64.b64encode(hashlib.md5(stand_in(content), usedforsecurity=False).digest()).decode()
            now = datetime.now(UTC)
            attributes = {"Md5Hash": digest, "Etag": digest, "StorageClass": "STANDARD", "Updated": now.isoformat()}
            _describe(path, attributes | {"Created": now.isoformat(), "Generation": int(now.timestamp() * 1e6)})


def _describe(path: Path, attributes: Mapping[str, object]) -> None:
    """Where the server looks for it: in an extended attribute, or beside the file where the disk has none."""
    encoded = json.dumps(attributes).encode()
    try:
        os.setxattr(path, "user.metadata", encoded)
    except OSError:
        path.with_name(f"{path.name}.metadata").write_bytes(encoded)


@dataclass(frozen=True)
class GcsServer:
    """The server, with one service account."""

    endpoint: str
    tls_endpoint: str
    ca: Path
    folder: Path
    account_key: str
    """RSA, as PEM."""

    @classmethod
    def start(cls, servers: Servers) -> Self:
        address = servers.address("gcs", "storage.googleapis.com", "*.storage.googleapis.com")
        account = servers.pki.service_account_key
        server = cls(address.endpoint, address.tls_endpoint, servers.pki.ca, servers.data("gcs"), account.read_text())
        argv = [
            str(binaries.path("fake-gcs-server")),
            f"-root={server.folder}",
            f"-host={HOST}",
            f"-http={HOST}:{address.plain}",
            f"-https={HOST}:{address.secure}",
            f"-cert={address.certificate}",
            f"-key={address.key}",
            f"-account={account}",
        ]
        health = "/_internal/healthcheck"
        servers.start("gcs", argv, server.endpoint + health, server.tls_endpoint + health)
        return server

    def bucket(self, *, public: bool = False) -> Bucket:
        """A new bucket; a public one may be listed and read by strangers."""
        name = fresh("public" if public else "bucket")
        (self.folder / name).mkdir()
        return Bucket(name, self.folder / name)

    def service_account(self, key: str = "") -> dict[str, str]:
        """The account as Google's console gives it and KServe's secrets hold it; with another key it is refused."""
        return {
            "type": "service_account",
            "project_id": "pullsizer",
            "private_key_id": "1",
            "private_key": key or self.account_key,
            "client_email": "reader@pullsizer.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.endpoint}/token",
        }
