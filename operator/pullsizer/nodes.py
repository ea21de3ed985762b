"""What a node could give a pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pullsizer.errors import InvalidQuantity
from pullsizer.quantity import parse


def allocatable(node: Mapping[str, Any], resource: str) -> int | None:
    """Millicores or bytes; None where the node does not say."""
    text = ((node.get("status") or {}).get("allocatable") or {}).get(resource)
    try:
        return parse(str(text), resource)
    except InvalidQuantity:
        return None
