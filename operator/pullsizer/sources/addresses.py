"""Which addresses may be called on a user's word. Pure: no name is looked up here and nothing is dialled.

A user who may create an InferenceService names hosts that the operator then calls, from inside the cluster and with the
operator's network identity. So only addresses that anybody on the Internet could call are allowed, and those that the
administrator lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from pullsizer.policy import SourceRules

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# The IANA registries of special-purpose addresses (RFC 6890 and updates), and what clouds put at public ones. Written
# down here because `ipaddress.is_global` differs between patch releases of Python.
_NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host; Linux dials 127.0.0.1 for 0.0.0.0
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; pods and services of some clouds, metadata of Alibaba's
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's WireServer: a public address that answers every virtual machine with its secrets
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; metadata of Oracle's cloud
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_UNICAST: Final = IPv6Network("2000::/3")
"""All of IPv6 that is given out as global unicast. The rest is private, local, multicast or unassigned."""
# Networks whose addresses stand for an IPv4 one, and how far from the right that one lies in them.
_EMBEDDING: Final = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped: the kernel dials IPv4
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
)

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# What a browser or a libc would read as a number: 2130706433, 0x7f.1, 0177.0.0.1. `1.2.3.4` itself was parsed before.
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_LONGEST_NAME: Final = 253
_PORTS: Final = range(1, 1 << 16)


@dataclass(frozen=True)
class EgressRules:
    """What may be called besides the public Internet.

    :param networks: `sources.allowCIDRs`
    :param endpoints: host and port of what the administrator configured by name, wherever that may be
    """

    networks: tuple[Network, ...] = ()
    endpoints: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def of(cls, rules: SourceRules) -> EgressRules:
        """What a policy allows. An endpoint on an odd host (`http://127.1`) opens nothing."""
        networks = tuple(ip_network(text) for text in rules.allow_cidrs)
        named = (rules.hugging_face.endpoint, rules.s3.endpoint, *rules.allow_endpoints)
        return cls(networks, frozenset(found for url in named if url and (found := server(url))))


def server(url: str) -> tuple[str, int] | None:
    """Host and port of an endpoint; None where it is no URL of one."""
    try:
        parts = urlsplit(url)
        return normal_host(parts.hostname or ""), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None


def allowed(address: Address, rules: EgressRules) -> bool:
    """Whether the address may be called."""
    inner = _embedded(address)
    if any(_within(one, network) for network in rules.networks for one in {address, inner}):
        return True
    if isinstance(inner, IPv6Address) and inner not in _UNICAST:
        return False
    return not any(_within(inner, network) for network in _NOT_PUBLIC)


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _embedded(address: Address) -> Address:
    """The IPv4 address that packets to an IPv6 one will end at, where it stands for one; else the address itself."""
    if isinstance(address, IPv6Address):
        for network, shift in _EMBEDDING:
            if address in network:
                return IPv4Address((int(address) >> shift) & 0xFFFFFFFF)
    return address


def literal(host: str) -> Address | None:
    """The address that a host is written as, if it is one."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def normal_host(host: str) -> str:
    """The one way of writing a host: lower case, no trailing dot, addresses in their shortest form.

    :raises ValueError: for what is neither a name nor an address, and for numbers that a libc would take for one
    """
    address = literal(host)
    if address is not None:
        if isinstance(address, IPv6Address) and address.scope_id:
            raise ValueError("an address with a zone")
        return str(address)
    name = host.removesuffix(".")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or _NUMBER.fullmatch(name):
        raise ValueError("not a host")
    return name.lower()


def split_authority(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Host, in its normal form, and port of `host:port` or `[address]:port`.

    :raises ValueError: for anything else; user information is something else
    """
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket or not isinstance(literal(inside), IPv6Address):
            raise ValueError("not an address")
        host, colon, digits = inside, rest[:1], rest[1:]
        if rest and colon != ":":
            raise ValueError("not a port")
    else:
        host, colon, digits = text.partition(":")
    if not colon and default_port is not None:
        return normal_host(host), default_port
    if not re.fullmatch(r"[0-9]{1,5}", digits) or int(digits) not in _PORTS:
        raise ValueError("not a port")
    return normal_host(host), int(digits)
