"""`storage:` of services: which URIs they mean, asked for before there is a pod that shows it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from pullsizer.account import Account
from pullsizer.controller.inventory import Inventory, ServiceKey
from pullsizer.controller.work import WorkQueue
from pullsizer.errors import MeasureError
from pullsizer.policy import Policy

log = logging.getLogger(__name__)

_AT_ONCE: Final = 8
_AGAIN: Final = 300.0
"""Seconds until a Secret that is missing, or wrong, is looked at again. By then most services have a pod."""


class StorageSpecs:
    """Tells the inventory what the services of allowed namespaces mean; pods tell of all others.

    :param uri: what a `storage:` of a namespace and account means, by its path
    :param changed: called for a service of which a URI became known
    """

    def __init__(
        self,
        inventory: Inventory,
        uri: Callable[[str, Account, str], Awaitable[str]],
        policy: Callable[[], Policy],
        changed: Callable[[ServiceKey], None],
    ) -> None:
        self._inventory = inventory
        self._uri = uri
        self._policy = policy
        self._changed = changed
        self.queue: WorkQueue[ServiceKey] = WorkQueue("storage-specs", self._read, workers=_AT_ONCE)

    def service_seen(self, key: ServiceKey) -> None:
        service = self._inventory.services.get(key)
        if service is not None and any(hint.path for hint in service.hints):
            self.queue.add(key)

    def policy_changed(self) -> None:
        for key in self._inventory.services:
            self.service_seen(key)

    async def _read(self, key: ServiceKey) -> None:
        service = self._inventory.services.get(key)
        if service is None or key.namespace not in self._policy().sources.credentials.namespaces:
            return
        for hint in service.hints:
            if not hint.path:
                continue
            try:
                uri = await self._uri(key.namespace, hint.account, hint.path)
            except MeasureError as error:
                log.info("storage unclear namespace=%s service=%s reason=%s", key.namespace, key.name, error.reason)
                self.queue.add(key, after=_AGAIN)
                continue
            if self._inventory.put_uri(key, hint, uri):
                self._changed(key)
