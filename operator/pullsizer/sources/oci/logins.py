"""Who we are to a registry: what it asks for, what the pull secret holds, and who may be told. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from yarl import URL

from pullsizer.sources.addresses import literal
from pullsizer.sources.oci.reference import DOCKER
from pullsizer.sources.proxying import basic

_WORD: Final = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"([^"]*)"|([^\s,"]*))|([A-Za-z0-9_-]+)')
# Under which the tools that write pull secrets file Docker's own registry.
_DOCKER_KEYS: Final = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True)
class Challenge:
    """How a registry wants to be told who asks: by a token from its realm, or by user and password."""

    bearer: bool
    realm: str = ""
    service: str = ""


def challenge(header: str) -> Challenge | None:
    """The best of a `WWW-Authenticate` header; None where it wants what we do not know (RFC 9110, 11.6.1)."""
    found: dict[str, dict[str, str]] = {}
    values: dict[str, str] = {}
    for name, quoted, plain, scheme in _WORD.findall(header):
        if scheme:
            values = found.setdefault(scheme.lower(), {})
        else:
            values.setdefault(name.lower(), quoted or plain)
    if "bearer" in found:
        return Challenge(True, found["bearer"].get("realm", ""), found["bearer"].get("service", ""))
    return Challenge(False) if "basic" in found else None


@dataclass(frozen=True)
class Login:
    """A user and a password, as they are sent."""

    authorization: str = field(repr=False)


def login(config: str, registry: str) -> Login | None:
    """What a Docker configuration holds for a registry, found as the downloader finds it.

    None where there is nothing, or nothing that can be read: then the downloader asks as a stranger, too.
    """
    keys = (registry, f"https://{registry}", registry.partition(":")[0])
    more = _DOCKER_KEYS if registry == DOCKER else (f"https://{registry}/v1/", f"https://{registry}/v2/")
    auths = _object(config).get("auths")
    if not isinstance(auths, dict):
        return None
    entry = next((found for key in (*keys, *more) if (found := auths.get(key))), None)
    text = entry.get("auth") if isinstance(entry, dict) else None
    try:
        user, colon, password = base64.b64decode(text if isinstance(text, str) else "").decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return Login(basic(user, password)) if colon else None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def askable(realm: URL, registry: URL) -> bool:
    """Whether a token may be fetched from a realm: by TLS, unless the registry itself is allowed to do without."""
    if realm.raw_user or realm.raw_password or not realm.raw_host:
        return False
    return realm.scheme == "https" or (realm.scheme == registry.scheme and realm.raw_host == registry.raw_host)


def may_know(realm: URL, registry: URL) -> bool:
    """Whether a realm may be told the registry's password: on the registry's own host, or under the same domain.

    Docker's is at auth.docker.io for registry-1.docker.io, GitLab's at gitlab.com for registry.gitlab.com. A domain is
    taken to be the last two labels, or three where both are as short as in co.uk; the list of all that anybody can have
    a part of would have to be kept up to date. This is caution beyond what a registry's other clients take: it has what
    it is told anyway, and they tell any server that it names.
    """
    ours, theirs = registry.raw_host or "", realm.raw_host or ""
    if ours == theirs:
        return True
    if realm.scheme != "https" or literal(ours) or literal(theirs):
        return False
    return bool(_domain(ours)) and _domain(ours) == _domain(theirs)


def _domain(host: str) -> tuple[str, ...]:
    labels = tuple(host.split("."))
    count = 3 if len(labels[-1]) == 2 and len(labels[-2:][0]) <= 3 else 2
    return labels[-count:] if len(labels) >= count else ()
