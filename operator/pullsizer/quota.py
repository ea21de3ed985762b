"""What a namespace's ResourceQuotas leave for one more pod.

Quota is charged after all admission webhooks: a pod that asks for more than is left is refused, with its service, until
somebody notices. What is left changes with every pod, so what is computed here may be a moment old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pullsizer.errors import InvalidQuantity
from pullsizer.names import RESOURCES
from pullsizer.quantity import parse

_OF_EVERY_PULL: Final = frozenset({"NotTerminating", "NotBestEffort"})
"""Scopes that a pod with a pull container is in: it has requests, and no deadline."""


@dataclass(frozen=True)
class QuotaLeft:
    """The least that any quota leaves. Amounts in millicores and bytes; what no quota names is not bounded.

    :param who: name of the quota, by `request` or `limit` and resource
    """

    requests: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    who: Mapping[tuple[str, str], str] = field(default_factory=dict)


NO_QUOTA: Final = QuotaLeft()


def quota_left(quotas: Iterable[Mapping[str, Any]]) -> QuotaLeft:
    """Of `ResourceQuota` objects. Such as count only some pods, by scopes that a pull's may not be in, are left out."""
    left: dict[str, dict[str, int]] = {"request": {}, "limit": {}}
    who: dict[tuple[str, str], str] = {}
    for quota in sorted(quotas, key=lambda item: str(item["metadata"]["name"])):
        spec, status = quota.get("spec") or {}, quota.get("status") or {}
        if spec.get("scopeSelector") or not _OF_EVERY_PULL.issuperset(spec.get("scopes") or ()):
            continue
        hard, used = status.get("hard") or spec.get("hard") or {}, status.get("used") or {}
        for resource in RESOURCES:
            for side, keys in (("request", (f"requests.{resource}", resource)), ("limit", (f"limits.{resource}",))):
                for key in keys:
                    amount = _difference(hard.get(key), used.get(key, "0"), resource)
                    if amount is not None and amount < left[side].get(resource, amount + 1):
                        left[side][resource] = amount
                        who[side, resource] = str(quota["metadata"]["name"])
    return QuotaLeft(left["request"], left["limit"], who)


def _difference(hard: object, used: object, resource: str) -> int | None:
    try:
        return max(0, parse(str(hard), resource) - parse(str(used), resource))
    except InvalidQuantity:
        return None  # not named; or stored by the API server, so a quantity, but none that we can read
