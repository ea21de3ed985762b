"""The pod annotation `pullsizer.dev/sizing`: what was done to each pull container and why, as compact JSON.

It is written for people and for a cheap second call. It is never trusted: a person may have copied it from another pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from pullsizer import __version__
from pullsizer.errors import InvalidQuantity
from pullsizer.names import SIZING
from pullsizer.pod import Resources, resources_of
from pullsizer.quantity import write
from pullsizer.sizing import Decision

Json = Mapping[str, Any]

MAXIMUM: Final = 2048
"""Bytes of the annotation. All annotations of a pod share 256 KiB, and etcd pays for each pod."""
_LONGEST_REASON: Final = 240
_KEYS: Final = {"from", "to", "basis", "why", "inputs"}


def entry(before: Resources, decision: Decision, digest: str) -> dict[str, Any]:
    """What is noted of one container."""
    after = decision.resources if decision.resources is not None else before
    return {
        "from": written(before),
        "to": written(after),
        "basis": decision.basis,
        "why": [
            reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 1]}…"
            for reason in decision.reasons
        ],
        "inputs": digest,
    }


def written(resources: Resources) -> dict[str, dict[str, str]]:
    """Resources in Kubernetes' own form."""
    return {
        "requests": {name: write(amount, name) for name, amount in resources.requests.items()},
        "limits": {name: write(amount, name) for name, amount in resources.limits.items()},
    }


def render(entries: Mapping[str, dict[str, Any]]) -> str:
    """The annotation's text, of at most MAXIMUM bytes: the last reasons go first, then whole containers."""
    kept = {name: {**item, "why": list(item["why"])} for name, item in entries.items()}
    while True:
        text = orjson.dumps({"version": __version__, "containers": kept})
        if len(text) <= MAXIMUM:
            return text.decode()
        longest = max(kept.values(), key=lambda item: len(item["why"]))
        if longest["why"]:
            longest["why"].pop()
        elif kept:
            kept.popitem()


def already_sized(pod: Json, name: str, container: Json, digest: str) -> bool:
    """Whether the container has what an earlier call gave it, decided from the very same inputs."""
    item = read(pod).get(name)
    if not isinstance(item, dict) or item.get("inputs") != digest:
        return False
    try:
        noted, current = resources_of({"resources": item.get("to")}), resources_of(container)
    except (InvalidQuantity, AttributeError, TypeError):
        return False
    return noted == current


def read(pod: Json) -> dict[str, Any]:
    """The noted containers of a pod; empty where there is no annotation that can be read.

    Only notes of a shape that `entry` makes: a person may have written anything.
    """
    text = ((pod.get("metadata") or {}).get("annotations") or {}).get(SIZING)
    if not text or len(text) > 2 * MAXIMUM:
        return {}
    try:
        containers = orjson.loads(text)["containers"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {}
    if not isinstance(containers, dict):
        return {}
    return {name: item for name, item in containers.items() if isinstance(item, dict) and _is_note(item)}


def _is_note(item: Mapping[str, Any]) -> bool:
    why = item.get("why")
    return item.keys() == _KEYS and isinstance(why, list) and all(isinstance(reason, str) for reason in why)
