"""What to do about the certificates now: one pure step, taken again and again until there is nothing left to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pullsizer.controller.certificates import (
    Pair,
    aging,
    bundle,
    contains,
    ended,
    make_ca,
    make_leaf,
    names,
    signed_by,
    usable,
)

SETTLE: Final = 60.0
"""Seconds from a bundle's publication until a leaf of its new CA is served: API servers learn of it by watches."""


@dataclass(frozen=True)
class Material:
    """All there is.

    :param ca: the newest CA, which signs
    :param leaf: what the webhooks serve
    :param trusted: CA certificates to trust: the newest one, and those before it that have not ended
    """

    ca: Pair | None = None
    leaf: Pair | None = None
    trusted: bytes = b""


def step(material: Material, hosts: Sequence[str], *, published: bytes, settled: bool, now: datetime) -> Material:
    """What there should be next; the same where nothing is to be done.

    :param published: the bundle that the webhook configurations have now; empty where there are none
    :param settled: whether they have had it for long enough
    """
    ca = material.ca
    if ca is None or not usable(ca) or aging(ca, now):
        fresh = make_ca(now)
        # The old CA stays trusted until it ends: what it signed is served until the new one is known everywhere.
        return replace(
            material,
            ca=fresh,
            trusted=bundle([fresh.certificate, ca.certificate if ca else b"", material.trusted], now),
        )
    trusted = bundle([ca.certificate, material.trusted], now)
    leaf = material.leaf
    good = leaf is not None and usable(leaf) and not ended(leaf, now) and _trusted(leaf, trusted)
    if leaf is None or not good or names(leaf) != frozenset(hosts):
        # Nobody is served well by what there is: no reason to wait.
        return replace(material, leaf=make_leaf(ca, hosts, now), trusted=trusted)
    known = settled and contains(published, ca.certificate)
    if known and (not signed_by(leaf, ca.certificate) or aging(leaf, now)):
        return replace(material, leaf=make_leaf(ca, hosts, now), trusted=trusted)
    return replace(material, trusted=trusted)


def _trusted(leaf: Pair, trusted: bytes) -> bool:
    marker = b"-----END CERTIFICATE-----\n"
    return any(signed_by(leaf, part + marker) for part in trusted.split(marker) if part.strip())
