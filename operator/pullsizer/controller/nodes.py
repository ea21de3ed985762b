"""What the largest known node could give a pod, resource by resource."""

from __future__ import annotations

from dataclasses import dataclass

from pullsizer.cluster import KubeApi
from pullsizer.names import EPHEMERAL_STORAGE, MEMORY
from pullsizer.nodes import allocatable


@dataclass(frozen=True)
class Largest:
    """Bytes; None where no node says."""

    disk: int | None = None
    memory: int | None = None


async def largest_node(api: KubeApi) -> Largest:
    """Of all nodes. Page by page: a node is 10 KB and more, and there may be thousands."""
    most: dict[str, int] = {}
    async for node in api.items("/api/v1/nodes"):
        for resource in (EPHEMERAL_STORAGE, MEMORY):
            amount = allocatable(node, resource)
            if amount is not None:
                most[resource] = max(amount, most.get(resource, 0))
    return Largest(most.get(EPHEMERAL_STORAGE), most.get(MEMORY))
