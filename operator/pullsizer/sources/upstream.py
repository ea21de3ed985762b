"""The proxies of the operator's environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from pullsizer.sources.addresses import literal
from pullsizer.sources.proxying import basic

_log = logging.getLogger(__name__)

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxy:
    """A proxy to go through.

    :param tls: whether to speak TLS to the proxy itself
    :param authorization: what to send as Proxy-Authorization, or nothing
    """

    host: str
    port: int
    tls: bool = False
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True)
class Upstream:
    """Which proxy to take for which target."""

    proxies: Mapping[str, Proxy] = field(default_factory=dict)
    """By the scheme of the target."""
    direct: tuple[str, ...] = ()
    """NO_PROXY: hosts, domains, networks, or `*`; each with a port or without."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Upstream:
        def value(name: str) -> str:
            return environ.get(name.lower()) or environ.get(name.upper()) or ""

        found = {}
        for scheme in _PORTS:
            text = value(f"{scheme}_proxy") or value("all_proxy")
            proxy = _parse(text)
            if proxy is not None:
                found[scheme] = proxy
            elif text:
                _log.warning("The proxy for %s in the environment is not an HTTP proxy; it is not used.", scheme)
        return cls(found, tuple(part.strip().lower() for part in value("no_proxy").split(",") if part.strip()))

    def for_target(self, scheme: str, host: str, port: int) -> Proxy | None:
        proxy = self.proxies.get(scheme)
        if proxy is None or any(_covers(entry, host, port) for entry in self.direct):
            return None
        return proxy


def _parse(text: str) -> Proxy | None:
    """The proxy that a URL names; a bare `host:port` is an HTTP one. None for SOCKS and for what is not a URL."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.scheme not in _PORTS:
        return None
    authorization = ""
    if parts.username:
        authorization = basic(unquote(parts.username), unquote(parts.password or ""))
    return Proxy(parts.hostname, port or _PORTS[parts.scheme], parts.scheme == "https", authorization)


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY stands for the target, as Go's and curl's clients read it."""
    if entry == "*":
        return True
    address = literal(host)
    if address is not None:
        try:
            network = ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass
        else:
            return address.version == network.version and address in network
    name, colon, digits = entry.rpartition(":")
    if colon and digits.isdecimal():
        if int(digits) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").lstrip(".")
    return host == entry or host.endswith(f".{entry}")
