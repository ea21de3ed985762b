"""What the largest known node could give a pod in ephemeral storage."""

from __future__ import annotations

from pullsizer.cluster import KubeApi
from pullsizer.errors import InvalidQuantity
from pullsizer.names import EPHEMERAL_STORAGE
from pullsizer.quantity import parse


async def largest_ephemeral_storage(api: KubeApi) -> int | None:
    """Bytes; None where no node says. Page by page: a node is 10 KB and more, and there may be thousands."""
    largest: int | None = None
    async for node in api.items("/api/v1/nodes"):
        text = ((node.get("status") or {}).get("allocatable") or {}).get(EPHEMERAL_STORAGE)
        try:
            amount = parse(str(text), EPHEMERAL_STORAGE)
        except InvalidQuantity:
            continue
        largest = max(amount, largest or 0)
    return largest
