"""What a namespace's ResourceQuotas allow, in all and for one more pod.

Quota is charged after all admission webhooks: a pod that asks for more than is left is refused, and tried again until
there is room. More than all of a quota never has room, so no pull is given that. What is left changes with every pod,
one that is about to be replaced still counts, and an init container keeps its limit for ever: so that is told, and
nothing is lowered for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pullsizer.errors import InvalidQuantity
from pullsizer.names import RESOURCES
from pullsizer.pod import Resources
from pullsizer.quantity import parse, write

Side = Literal["request", "limit"]
_OF_EVERY_PULL: Final = frozenset({"NotTerminating", "NotBestEffort"})
"""Scopes that a pod with a pull container is in: it has requests, and no deadline."""


@dataclass(frozen=True)
class Allowance:
    """The least that any quota allows. Amounts in millicores and bytes; what no quota names is not bounded.

    :param who: name of the quota
    """

    requests: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    who: Mapping[tuple[Side, str], str] = field(default_factory=dict)


NO_QUOTA: Final = Allowance()


@dataclass(frozen=True)
class Quota:
    """Of a namespace.

    :param hard: in all
    :param left: when it was last counted
    """

    hard: Allowance = NO_QUOTA
    left: Allowance = NO_QUOTA

    def shortfalls(self, resources: Resources) -> Iterator[str]:
        """In words, for which of a pull container's resources there is no room now."""
        sides: tuple[tuple[Side, Mapping[str, int], Mapping[str, int]], ...] = (
            ("request", resources.requests, self.left.requests),
            ("limit", resources.limits, self.left.limits),
        )
        for side, amounts, left in sides:
            for name in RESOURCES:
                if name in left and amounts.get(name, 0) > left[name]:
                    yield (
                        f"ResourceQuota {self.left.who[side, name]!r} has {write(left[name], name)} left of {side}s."
                        f"{name}, and the pull takes {write(amounts[name], name)}: its pod is refused until there is "
                        "room"
                    )


UNBOUNDED: Final = Quota()


def quota_of(quotas: Iterable[Mapping[str, Any]]) -> Quota:
    """Of `ResourceQuota` objects. Such as count only some pods, by scopes that a pull's may not be in, are left out."""
    hard, left = _Least(), _Least()
    for item in sorted(quotas, key=lambda item: str(item["metadata"]["name"])):
        spec, status, name = item.get("spec") or {}, item.get("status") or {}, str(item["metadata"]["name"])
        if spec.get("scopeSelector") or not _OF_EVERY_PULL.issuperset(spec.get("scopes") or ()):
            continue
        allowed, used = status.get("hard") or spec.get("hard") or {}, status.get("used") or {}
        for resource in RESOURCES:
            pairs: tuple[tuple[Side, str], ...] = (
                ("request", f"requests.{resource}"),
                ("request", resource),
                ("limit", f"limits.{resource}"),
            )
            for side, key in pairs:
                most, taken = _amount(allowed.get(key), resource), _amount(used.get(key, "0"), resource)
                if most is not None:
                    hard.note(side, resource, most, name)
                    left.note(side, resource, max(0, most - (taken or 0)), name)
    return Quota(hard.allowance(), left.allowance())


class _Least:
    """The least that is noted of each."""

    def __init__(self) -> None:
        self._amounts: dict[Side, dict[str, int]] = {"request": {}, "limit": {}}
        self._who: dict[tuple[Side, str], str] = {}

    def note(self, side: Side, resource: str, amount: int, who: str) -> None:
        amounts = self._amounts[side]
        if amount < amounts.get(resource, amount + 1):
            amounts[resource] = amount
            self._who[side, resource] = who

    def allowance(self) -> Allowance:
        return Allowance(self._amounts["request"], self._amounts["limit"], self._who)


def _amount(text: object, resource: str) -> int | None:
    try:
        return parse(str(text), resource)
    except InvalidQuantity:
        return None  # not named; or stored by the API server, so a quantity, but none that we can read
