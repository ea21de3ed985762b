"""S3: Versity's gateway over a folder. A file is an object; what S3 knows of it besides lies in a second folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.controlplane import binaries
from tests.controlplane.ports import HOST

from .servers import Content, Servers, fresh, lay, stand_in


@dataclass(frozen=True)
class Bucket:
    """A bucket; as its objects are laid down as files, ten thousand take one second."""

    name: str
    folder: Path
    sidecar: Path

    def put(self, objects: Mapping[str, Content]) -> None:
        """Objects by key, the old ones of the same keys replaced."""
        for key, content in objects.items():
            lay(self.folder / key, content)
            etag = hashlib.md5(stand_in(content), usedforsecurity=False).hexdigest()
            lay(self.sidecar / key / "meta" / "etag", f'"{etag}"'.encode())


@dataclass(frozen=True)
class S3Server:
    """The gateway, by http and by https: two processes over one folder."""

    endpoint: str
    tls_endpoint: str
    ca: Path
    folder: Path
    sidecar: Path
    access_key: str = "AKIAPULLSIZERTESTS00"
    secret_key: str = "secret-of-the-gateway"
    region: str = "us-east-1"

    @classmethod
    def start(cls, servers: Servers) -> Self:
        address = servers.address("s3", "*.amazonaws.com", "*.s3.amazonaws.com", "*.s3.us-east-1.amazonaws.com")
        folder, sidecar = servers.data("s3-objects"), servers.data("s3-sidecar")
        server = cls(address.endpoint, address.tls_endpoint, servers.pki.ca, folder, sidecar)
        argv = [str(binaries.path("versitygw")), f"-root={folder}", f"-sidecar={sidecar}"]
        account = {"ROOT_ACCESS_KEY": server.access_key, "ROOT_SECRET_KEY": server.secret_key}
        plain = [*argv, f"-listen={HOST}:{address.plain}"]
        secure = [*argv, f"-listen={HOST}:{address.secure}", f"-cert={address.certificate}", f"-key={address.key}"]
        servers.start("s3", plain, f"{server.endpoint}/health", **account)
        servers.start("s3-tls", secure, f"{server.tls_endpoint}/health", **account)
        return server

    def bucket(self, *, public: bool = False) -> Bucket:
        """A new bucket; a public one may be listed and read by strangers."""
        name = fresh("bucket")
        bucket = Bucket(name, self.folder / name, self.sidecar / name)
        bucket.folder.mkdir()
        if public:
            resource = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
            allow = {"Effect": "Allow", "Principal": "*", "Action": ["s3:ListBucket", "s3:GetObject"]}
            policy = {"Version": "2012-10-17", "Statement": [allow | {"Resource": resource}]}
            lay(bucket.sidecar / "meta" / "policy", json.dumps(policy).encode())
        return bucket
