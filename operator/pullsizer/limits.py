"""A namespace's LimitRanges, as the bounds they put on one init container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pullsizer.errors import InvalidQuantity
from pullsizer.names import CPU, RESOURCES
from pullsizer.quantity import parse


@dataclass(frozen=True)
class NamespaceLimits:
    """The strictest of all LimitRanges of a namespace, for a container and for a pod. Amounts in millicores and bytes.

    :param pod_max: the most that all containers of a pod that run at the same time may have
    :param ratio: the most that a limit may be, as a multiple of its request
    :param default: the limits that the LimitRanger gives a container that has none
    """

    min: Mapping[str, int] = field(default_factory=dict)
    max: Mapping[str, int] = field(default_factory=dict)
    pod_max: Mapping[str, int] = field(default_factory=dict)
    ratio: Mapping[str, Fraction] = field(default_factory=dict)
    default: Mapping[str, int] = field(default_factory=dict)


UNLIMITED = NamespaceLimits()


def namespace_limits(limit_ranges: Iterable[Mapping[str, Any]]) -> NamespaceLimits:
    """Of `LimitRange` objects.

    A limit of type Pod bounds an init container too: the pod's effective amounts are at least the container's, with
    those of the sidecars beside it. Where the container is within a pod's minimum and ratio, so is the larger of it and
    the other containers.
    """
    least: dict[str, int] = {}
    most: dict[str, int] = {}
    pod_most: dict[str, int] = {}
    ratio: dict[str, Fraction] = {}
    default: dict[str, int] = {}
    for limit_range in limit_ranges:
        for item in (limit_range.get("spec") or {}).get("limits") or ():
            if item.get("type") not in ("Container", "Pod"):
                continue
            bounded = most if item["type"] == "Container" else pod_most
            for name, amount in _amounts(item.get("max")).items():
                bounded[name] = min(amount, bounded.get(name, amount))
            for name, amount in _amounts(item.get("min")).items():
                least[name] = max(amount, least.get(name, amount))
            for name, value in _ratios(item.get("maxLimitRequestRatio")).items():
                ratio[name] = min(value, ratio.get(name, value))
            if item["type"] == "Container":
                for name, amount in _amounts(item.get("default")).items():
                    default[name] = min(amount, default.get(name, amount))
    return NamespaceLimits(least, most, pod_most, ratio, default)


def _ratios(block: Mapping[str, Any] | None) -> dict[str, Fraction]:
    """A ratio is a quantity, too: the API server writes one and a half as 1500m."""
    found = {}
    for name in RESOURCES:
        if block and name in block:
            try:
                thousandths = parse(str(block[name]), CPU)
            except InvalidQuantity:
                continue
            if thousandths >= 1000:  # less than one cannot be stored
                found[name] = Fraction(thousandths, 1000)
    return found


def _amounts(block: Mapping[str, Any] | None) -> dict[str, int]:
    found = {}
    for name in RESOURCES:
        if block and name in block:
            try:
                found[name] = parse(str(block[name]), name)
            except InvalidQuantity:
                continue  # the API server stored it, so it is a quantity; one that we cannot read bounds nothing
    return found
