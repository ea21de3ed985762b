"""What a node could give a pod in ephemeral storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pullsizer.errors import InvalidQuantity
from pullsizer.names import EPHEMERAL_STORAGE
from pullsizer.quantity import parse


def ephemeral_storage(node: Mapping[str, Any]) -> int | None:
    """Bytes; None where the node does not say."""
    text = ((node.get("status") or {}).get("allocatable") or {}).get(EPHEMERAL_STORAGE)
    try:
        return parse(str(text), EPHEMERAL_STORAGE)
    except InvalidQuantity:
        return None
