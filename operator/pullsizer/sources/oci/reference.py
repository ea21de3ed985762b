"""What an image's name means. Pure.

By the rules of what pulls it: distribution/reference, which containerd, and so the kubelet, reads names by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from yarl import URL

from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.addresses import server, split_authority
from pullsizer.sources.failures import failure, shown

DOCKER: Final = "docker.io"
_DOCKER_LEGACY: Final = "index.docker.io"
_DOCKER_SERVER: Final = "registry-1.docker.io"

_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_REPOSITORY: Final = 255
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True)
class Reference:
    """An image's name in full.

    :param registry: host, or host and port
    :param wanted: a digest, or else a tag
    """

    registry: str
    repository: str
    wanted: str

    @property
    def pinned(self) -> bool:
        """Whether it names an image by its content, which never changes."""
        return ":" in self.wanted

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{'@' if self.pinned else ':'}{self.wanted}"

    def url(self, rules: SourceRules) -> URL:
        """The registry's server. By https, but for those that the administrator lists as `http://host:port`."""
        name = _DOCKER_SERVER if self.registry == DOCKER else self.registry
        plain = {server(endpoint) for endpoint in rules.allow_endpoints if endpoint.startswith("http://")}
        if split_authority(name, 80) in plain:
            host, port = split_authority(name, 80)
            return URL.build(scheme="http", host=host, port=port)
        host, port = split_authority(name, 443)
        return URL.build(scheme="https", host=host, port=port)


def parse(uri: str) -> Reference:
    """The image that a URI names.

    :raises MeasureError: InvalidURI
    """
    name, at, digest = uri.partition("://")[2].partition("@")
    before, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        before, tag = name, "latest"
    registry, repository = _split(before)
    try:
        split_authority(registry, 443)
        known_host = True
    except ValueError:
        known_host = False
    valid = known_host and _REPOSITORY.fullmatch(repository) and len(repository) <= _LONGEST_REPOSITORY
    if not valid or not _TAG.fullmatch(tag) or (at and not DIGEST.fullmatch(digest)):
        raise failure(
            "InvalidURI",
            f"{shown(Source(uri).public_uri)} is not an image; write oci://registry/repository:tag or "
            "oci://registry/repository@sha256:…, in lower case and without credentials",
        )
    return Reference(registry, repository, digest or tag)


def _split(name: str) -> tuple[str, str]:
    """Registry and repository. What comes first is a host if it looks like one; Docker's is the default."""
    first, slash, rest = name.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        first, rest = DOCKER, name
    first = first.lower()
    if first == _DOCKER_LEGACY:
        first = DOCKER
    return first, f"library/{rest}" if first == DOCKER and "/" not in rest else rest
