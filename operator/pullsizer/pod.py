"""What a pod says about itself, read from its JSON: resources, QoS, headroom, volumes.

The rules are Kubernetes' own: `k8s.io/component-helpers/resource` for effective requests, `pkg/apis/core/v1/helper/qos`
for the QoS class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pullsizer.names import CPU, LIMIT_RANGER_ANNOTATION, MEMORY, RESOURCES
from pullsizer.quantity import parse

Json = Mapping[str, Any]
Qos = Literal["Guaranteed", "Burstable", "BestEffort"]
Medium = Literal["disk", "memory", "elsewhere"]


@dataclass(frozen=True)
class Resources:
    """Requests and limits of one container, or of a whole pod. Amounts in millicores and bytes."""

    requests: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)


def resources_of(container: Json) -> Resources:
    """Of a container's, or pod's, `resources`. A limit without a request is a request too, as the API server has it.

    :raises InvalidQuantity: the API server would refuse the pod as well
    """
    block = container.get("resources") or {}
    limits = _amounts(block.get("limits"))
    return Resources({**limits, **_amounts(block.get("requests"))}, limits)


def _amounts(block: Json | None) -> dict[str, int]:
    return {name: parse(str(block[name]), name) for name in RESOURCES if name in block} if block else {}


def is_sidecar(container: Json) -> bool:
    """A native sidecar: an init container that goes on running."""
    return container.get("restartPolicy") == "Always"


def headroom(spec: Json, index: int) -> dict[str, int]:
    """What the init container at `index` can request for free: the scheduler sets it aside for the app anyway.

    A pod's effective request is max(sum of apps and sidecars, each init container and the sidecars before it).
    """
    free = dict.fromkeys(RESOURCES, 0)
    for container in spec.get("containers") or ():
        _add(free, container)
    for position, container in enumerate(spec.get("initContainers") or ()):
        # A sidecar before the container runs beside it and beside the app: it adds to both, and so to neither's excess.
        if is_sidecar(container) and position > index:
            _add(free, container)
    return free


def _add(total: dict[str, int], container: Json) -> None:
    for name, amount in resources_of(container).requests.items():
        total[name] += amount


def qos(spec: Json) -> Qos:
    """The pod's QoS class. Pod-level resources, where set, decide alone (KEP-2837)."""
    whole = resources_of(spec)
    if whole.requests or whole.limits:
        return _qos([whole])
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return _qos([resources_of(container) for container in containers])


def _qos(all_resources: Sequence[Resources]) -> Qos:
    named = [
        amount
        for resources in all_resources
        for amounts in (resources.requests, resources.limits)
        for name, amount in amounts.items()
        if name in (CPU, MEMORY) and amount
    ]
    if not named:
        return "BestEffort"
    for resources in all_resources:
        for name in (CPU, MEMORY):
            limit = resources.limits.get(name)
            if not limit or resources.requests.get(name) != limit:
                return "Burstable"
    return "Guaranteed"


def set_by_limit_ranger(annotations: Json | None, container: str) -> frozenset[tuple[str, str]]:
    """Which values of an init container the LimitRanger plugin filled in: pairs such as `("memory", "limit")`.

    Its annotation reads `LimitRanger plugin set: cpu, memory request for container a; cpu limit for init container b`.
    """
    text = str((annotations or {}).get(LIMIT_RANGER_ANNOTATION, ""))
    pattern = rf"([a-z, -]+?) (request|limit) for init container {re.escape(container)}(?=;|$)"
    return frozenset(
        (name.strip(), match[2])
        for match in re.finditer(pattern, text.partition(":")[2])
        for name in match[1].split(",")
        if name.strip()
    )


def medium_of(spec: Json, container: Json, path: str) -> Medium:
    """What the container writes to when it writes to `path`: a disk emptyDir, memory, or a volume that is neither."""
    mounts = [m for m in container.get("volumeMounts") or () if _under(path, str(m.get("mountPath", "")))]
    if not mounts:
        return "disk"  # the container's own writable layer
    name = max(mounts, key=lambda mount: len(str(mount.get("mountPath", "")))).get("name")
    volume = next((v for v in spec.get("volumes") or () if v.get("name") == name), None)
    if volume is None or "emptyDir" not in volume:
        return "elsewhere"
    return "memory" if (volume["emptyDir"] or {}).get("medium") == "Memory" else "disk"


def _under(path: str, mount: str) -> bool:
    mount = mount.rstrip("/")
    return path == mount or path.startswith(f"{mount}/")
