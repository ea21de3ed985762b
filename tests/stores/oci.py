"""OCI registries: distribution's over a folder. One is for anybody, two ask who is there; all have the same images."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeAlias
from urllib.parse import urlsplit

from tests.controlplane import binaries
from tests.controlplane.ports import HOST

from .servers import TIMEOUT, Address, Content, Servers, lay, stand_in
from .tokens import ISSUER, SERVICE

USER: Final = "reader"
PASSWORD: Final = "secret-of-the-registry"
_HTPASSWD: Final = f"{USER}:$2a$04$Odl0ul4e.W7AygjW7tOfc.fPSB/G3FrDBrDl73CL7mtff7oyeK7sC\n"
"""The password, hashed by bcrypt with its least cost."""

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"

_Auths: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
"""How one proves who one is, by http and by https: `auth` of the registry's configuration."""


@dataclass(frozen=True)
class OciRegistry:
    """A registry, by http and by https: two processes over one folder.

    :param folder: of the blobs and repositories that all registries of the run share
    :param open_endpoint: of the one that takes images from anybody
    """

    endpoint: str
    tls_endpoint: str
    ca: Path
    folder: Path
    open_endpoint: str
    user: str = ""
    password: str = ""

    @property
    def host(self) -> str:
        """The host and port as they stand in `oci://`, where https goes without saying."""
        return urlsplit(self.tls_endpoint).netloc

    @classmethod
    def start(cls, servers: Servers) -> Self:
        """One for anybody."""
        address, folder = servers.address("oci", "registry.example.com"), servers.data("oci")
        _start(servers, "oci", address, folder, ({}, {}))
        return cls(address.endpoint, address.tls_endpoint, servers.pki.ca, folder, address.endpoint)

    def with_basic(self, servers: Servers) -> OciRegistry:
        """One that wants a user and a password with each request."""
        htpasswd = servers.folder / "htpasswd"
        htpasswd.write_text(_HTPASSWD)
        auth = {"htpasswd": {"realm": SERVICE, "path": str(htpasswd)}}
        return self._private(servers, "oci-basic", (auth, auth))

    def with_tokens(self, servers: Servers, tokens: Address) -> OciRegistry:
        """One that sends its clients to this token server."""
        auth = {"service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(servers.pki.ca)}
        plain, secure = (
            {"token": auth | {"realm": f"{server}/token"}} for server in (tokens.endpoint, tokens.tls_endpoint)
        )
        return self._private(servers, "oci-token", (plain, secure))

    def _private(self, servers: Servers, name: str, auths: _Auths) -> OciRegistry:
        address = servers.address(name, "registry.example.com")
        _start(servers, name, address, self.folder, auths)
        return OciRegistry(
            address.endpoint, address.tls_endpoint, self.ca, self.folder, self.open_endpoint, USER, PASSWORD
        )

    def push(
        self,
        repository: str,
        tag: str,
        layers: Sequence[Content],
        *,
        config: Mapping[str, Any] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> str:
        """An image; gives its digest. Layers of zeros are not gzip, and their digests are made up."""
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(repository, CONFIG, json.dumps(config or {}).encode()),
            "layers": [self._blob(repository, LAYER, layer) for layer in layers],
        }
        if annotations:
            manifest["annotations"] = dict(annotations)
        return self._put_manifest(repository, tag, manifest)

    def push_index(self, repository: str, tag: str, images: Mapping[str, Sequence[Content]]) -> str:
        """An index of images for Linux, their layers given by architecture; gives its digest."""
        listed = []
        for architecture, layers in images.items():
            digest = self.push(repository, f"{tag}-{architecture}", layers, config={"architecture": architecture})
            size = self._blob_path(digest).stat().st_size
            platform = {"os": "linux", "architecture": architecture}
            listed.append({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
        return self._put_manifest(repository, tag, index)

    def _blob(self, repository: str, media_type: str, content: Content) -> dict[str, Any]:
        """Lays a blob into the repository; gives its descriptor."""
        digest = f"sha256:{hashlib.sha256(stand_in(content)).hexdigest()}"
        lay(self._blob_path(digest), content)
        link = self.folder / "docker/registry/v2/repositories" / repository / "_layers/sha256" / digest[7:] / "link"
        lay(link, digest.encode())
        size = len(content) if isinstance(content, bytes) else content
        return {"mediaType": media_type, "digest": digest, "size": size}

    def _blob_path(self, digest: str) -> Path:
        return self.folder / "docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"

    def _put_manifest(self, repository: str, tag: str, manifest: Mapping[str, Any]) -> str:
        connection = http.client.HTTPConnection(urlsplit(self.open_endpoint).netloc, timeout=TIMEOUT)
        try:
            body, headers = json.dumps(manifest), {"Content-Type": str(manifest["mediaType"])}
            connection.request("PUT", f"/v2/{repository}/manifests/{tag}", body, headers)
            with connection.getresponse() as answer:
                text = answer.read().decode()
                if answer.status != http.HTTPStatus.CREATED:
                    raise RuntimeError(f"the registry answers {answer.status} to {repository}:{tag}: {text}")
                return answer.headers["Docker-Content-Digest"]
        finally:
            connection.close()


def _start(servers: Servers, name: str, address: Address, folder: Path, auths: _Auths) -> None:
    plain, secure = auths
    tls = {"certificate": str(address.certificate), "key": str(address.key)}
    for server, url, http_options, auth in (
        (name, address.endpoint, {"addr": f"{HOST}:{address.plain}"}, plain),
        (f"{name}-tls", address.tls_endpoint, {"addr": f"{HOST}:{address.secure}", "tls": tls}, secure),
    ):
        file = servers.folder / f"{server}.yaml"
        file.write_text(json.dumps(_configuration(folder, http_options, auth)))
        argv = [str(binaries.path("registry")), "serve", str(file)]
        # Without these two it looks for a collector of traces.
        servers.start(server, argv, f"{url}/v2/", OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none")


def _configuration(folder: Path, http_options: dict[str, Any], auth: dict[str, Any]) -> dict[str, Any]:
    """JSON, which is YAML."""
    return {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder)},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"secret": "shared-by-all", **http_options},
        **({"auth": auth} if auth else {}),
    }
