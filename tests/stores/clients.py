"""A client for each kind of store, in one form: obstore, which Pullsizer itself uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from obstore.store import AzureStore, GCSStore, S3Store

from .azure import AzureServer
from .gcs import GcsServer
from .s3 import S3Server
from .servers import Content

Client: TypeAlias = S3Store | GCSStore | AzureStore


class Bucket(Protocol):
    """What all buckets can."""

    @property
    def name(self) -> str: ...
    def put(self, objects: Mapping[str, Content]) -> None: ...


class Store(Protocol):
    """One kind of store, with a client that the project uses, too."""

    page: int
    """How many objects it lists in one answer."""

    def bucket(self, *, public: bool = False) -> Bucket: ...
    def owner(self, bucket: str) -> Client: ...
    def stranger(self, bucket: str) -> Client: ...
    def wrong(self, bucket: str) -> Client: ...
    def listing(self, bucket: str) -> tuple[str, Path]:
        """The URL of a listing by https, with the CA to trust."""


@dataclass
class S3:
    server: S3Server
    page = 1000

    def bucket(self, *, public: bool = False) -> Bucket:
        return self.server.bucket(public=public)

    def owner(self, bucket: str) -> Client:
        return self._client(bucket, self.server.secret_key)

    def wrong(self, bucket: str) -> Client:
        return self._client(bucket, "wrong")

    def _client(self, bucket: str, secret: str) -> Client:
        key, region, endpoint = self.server.access_key, self.server.region, self.server.endpoint
        return S3Store(
            bucket,
            endpoint=endpoint,
            region=region,
            access_key_id=key,
            secret_access_key=secret,
            client_options={"allow_http": True},
        )

    def stranger(self, bucket: str) -> Client:
        return S3Store(bucket, endpoint=self.server.endpoint, skip_signature=True, client_options={"allow_http": True})

    def listing(self, bucket: str) -> tuple[str, Path]:
        return f"{self.server.tls_endpoint}/{bucket}?list-type=2", self.server.ca


@dataclass
class Gcs:
    server: GcsServer
    page = 1000

    def bucket(self, *, public: bool = False) -> Bucket:
        return self.server.bucket(public=public)

    def owner(self, bucket: str) -> Client:
        return self._client(bucket, {**self.server.service_account()})

    def wrong(self, bucket: str) -> Client:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self._client(bucket, {**self.server.service_account(key.private_bytes(*pem).decode())})

    def stranger(self, bucket: str) -> Client:
        return self._client(bucket, {**self.server.service_account(), "disable_oauth": True})

    def _client(self, bucket: str, account: dict[str, Any]) -> Client:
        key = json.dumps(account | {"gcs_base_url": self.server.endpoint})
        return GCSStore(bucket, service_account_key=key, client_options={"allow_http": True})

    def listing(self, bucket: str) -> tuple[str, Path]:
        return f"{self.server.tls_endpoint}/storage/v1/b/{bucket}/o", self.server.ca


@dataclass
class Azure:
    server: AzureServer
    page = 5000

    def bucket(self, *, public: bool = False) -> Bucket:
        return self.server.container(public=public)

    def owner(self, bucket: str) -> Client:
        return self._client(bucket, account_key=self.server.key)

    def wrong(self, bucket: str) -> Client:
        return self._client(bucket, account_key="d3Jvbmc=")

    def stranger(self, bucket: str) -> Client:
        return self._client(bucket, skip_signature=True)

    def _client(self, bucket: str, **how: Any) -> Client:
        server = self.server
        endpoint = f"{server.endpoint}/{server.account}"
        return AzureStore(
            bucket, account_name=server.account, endpoint=endpoint, client_options={"allow_http": True}, **how
        )

    def listing(self, bucket: str) -> tuple[str, Path]:
        server = self.server
        return f"{server.tls_endpoint}/{server.account}/{bucket}?restype=container&comp=list", server.ca
