"""One bad object must not keep the others from being taken in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pullsizer.controller.metrics import HANDLER_ERRORS

log = logging.getLogger(__name__)


class Survives:
    """An object that cannot be taken in is logged by its name and counted; the next one is taken in all the same."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self._item = item

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        metadata = self._item.get("metadata") or {}
        HANDLER_ERRORS.labels(str(self._item.get("kind"))).inc()
        log.error(
            "object could not be taken in kind=%s namespace=%s name=%s",
            self._item.get("kind"),
            metadata.get("namespace"),
            metadata.get("name"),
            exc_info=error,
        )
        return True
