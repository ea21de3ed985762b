"""What the largest known node could give a pod, resource by resource."""

from __future__ import annotations

from dataclasses import dataclass

from pullsizer.cluster import KubeApi
<<<<<<< Updated upstream
from pullsizer.errors import InvalidQuantity
from pullsizer.names import EPHEMERAL_STORAGE, MEMORY
from pullsizer.quantity import parse
=======
from pullsizer.nodes import ephemeral_storage
>>>>>>> Stashed changes


@dataclass(frozen=True)
class Largest:
    """Bytes; None where no node says."""

    disk: int | None = None
    memory: int | None = None


async def largest_node(api: KubeApi) -> Largest:
    """Of all nodes. Page by page: a node is 10 KB and more, and there may be thousands."""
    most: dict[str, int] = {}
    async for node in api.items("/api/v1/nodes"):
<<<<<<< Updated upstream
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        for resource in (EPHEMERAL_STORAGE, MEMORY):
            try:
                amount = parse(str(allocatable.get(resource)), resource)
            except InvalidQuantity:
                continue
            most[resource] = max(amount, most.get(resource, 0))
    return Largest(most.get(EPHEMERAL_STORAGE), most.get(MEMORY))
=======
        amount = ephemeral_storage(node)
        if amount is not None:
            largest = max(amount, largest or 0)
    return largest
>>>>>>> Stashed changes
