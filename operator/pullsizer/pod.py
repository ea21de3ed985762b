"""What a pod says about itself, read from its JSON: resources, QoS, headroom, volumes.

The rules are Kubernetes' own: `k8s.io/component-helpers/resource` for effective requests, `pkg/apis/core/v1/helper/qos`
for the QoS class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

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


_NONE = Resources()
_LONGEST_NOTE: Final = 16 << 10
"""Characters of the LimitRanger's annotation: a clause has some 80, and anybody can write it."""


def resources_of(container: Json) -> Resources:
    """Of a container's, or pod's, `resources`. A limit without a request is a request too, as the API server has it.

    :raises InvalidQuantity: the API server would refuse the pod as well
    """
    block = container.get("resources") or {}
    if not block:
        return _NONE
    limits = _amounts(block.get("limits"))
    return Resources({**limits, **_amounts(block.get("requests"))}, limits)


def _amounts(block: Json | None) -> dict[str, int]:
    return {name: parse(str(block[name]), name) for name in RESOURCES if name in block} if block else {}


def is_sidecar(container: Json) -> bool:
    """A native sidecar: an init container that goes on running."""
    return container.get("restartPolicy") == "Always"


@dataclass(frozen=True)
class PodResources:
    """What every container of a pod has, read once.

    :param whole: the pod's own `spec.resources` (KEP-2837)
    :param apps: of `spec.containers`
    :param inits: of `spec.initContainers`, and whether each is a sidecar
    """

    whole: Resources
    apps: tuple[Resources, ...]
    inits: tuple[tuple[Resources, bool], ...]

    def headroom(self, index: int) -> dict[str, int]:
        """What the init container at `index` can request for free: the scheduler sets it aside for the app anyway.

        A pod's effective request is max(sum of apps and sidecars, each init container and the sidecars before it). A
        sidecar before the container runs beside it and beside the app: it adds to both, and so to neither's excess.
        """
        free = dict.fromkeys(RESOURCES, 0)
        beside = [resources for resources, sidecar in self.inits[index + 1 :] if sidecar]
        for resources in (*self.apps, *beside):
            for name, amount in resources.requests.items():
                free[name] += amount
        return free

    def beside(self, index: int) -> Resources:
        """What the sidecars have that start before the init container at `index`: they run while it does."""
        total = Resources({}, {})
        for resources, sidecar in self.inits[:index]:
            if sidecar:
                total = Resources(_sum(total.requests, resources.requests), _sum(total.limits, resources.limits))
        return total

    def qos(self) -> Qos:
        """The pod's QoS class. Pod-level resources, where set, decide alone."""
        if self.whole.requests or self.whole.limits:
            return _qos([self.whole])
        return _qos([*self.apps, *(resources for resources, _ in self.inits)])


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def pod_resources(spec: Json) -> PodResources:
    """Of a pod's spec.

    :raises InvalidQuantity: the API server would refuse the pod as well
    """
    return PodResources(
        whole=resources_of(spec),
        apps=tuple(resources_of(container) for container in spec.get("containers") or ()),
        inits=tuple((resources_of(container), is_sidecar(container)) for container in spec.get("initContainers") or ()),
    )


def _qos(all_resources: Sequence[Resources]) -> Qos:
    guaranteed, named = True, False
    for resources in all_resources:
        for name in (CPU, MEMORY):
            request, limit = resources.requests.get(name), resources.limits.get(name)
            named = named or bool(request or limit)
            guaranteed = guaranteed and bool(limit) and request == limit
    if not named:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def set_by_limit_ranger(annotations: Json | None, container: str) -> frozenset[tuple[str, str]]:
    """Which values of an init container the LimitRanger plugin filled in: pairs such as `("memory", "limit")`.

    Its annotation reads `LimitRanger plugin set: cpu, memory request for container a; cpu limit for init container b`.
    """
    text = str((annotations or {}).get(LIMIT_RANGER_ANNOTATION, ""))
    if not text or len(text) > _LONGEST_NOTE:
        return frozenset()
    found: set[tuple[str, str]] = set()
    for clause in text.partition(":")[2].split(";"):
        what, of_init, name = clause.strip().partition(" for init container ")
        names, space, side = what.rpartition(" ")
        if of_init and space and name == container and side in ("request", "limit"):
            found.update((resource.strip(), side) for resource in names.split(",") if resource.strip())
    return frozenset(found)


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
