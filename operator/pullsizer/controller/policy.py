"""From what the administrator wrote to what is in force: validated, and then published for the webhooks.

ConfigMap `pullsizer-config` is a person's; `pullsizer-config-accepted` is ours, and webhooks read nothing else. So all
replicas agree, and the last good policy outlives restarts and mistakes. Until the first policy is accepted there is no
such ConfigMap, and all decide and change nothing (policy.DEFAULT).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from pullsizer.cluster import KubeApi
from pullsizer.controller.events import Note, Regarding
from pullsizer.controller.metrics import POLICY_ACCEPTED
from pullsizer.controller.nodes import Largest, largest_node
from pullsizer.controller.work import WorkQueue
from pullsizer.errors import ClusterError, InvalidPolicy, InvalidQuantity, NotFound
from pullsizer.names import (
    ACCEPTED_CONFIGMAP,
    EPHEMERAL_STORAGE,
    FIELD_MANAGER,
    MEMORY,
    NODE_DISK_KEY,
    NODE_MEMORY_KEY,
    POLICY_CONFIGMAP,
    POLICY_KEY,
)
from pullsizer.policy import DEFAULT, Policy, load_policy
from pullsizer.quantity import parse, write

log = logging.getLogger(__name__)

NODES_EVERY: Final = 300.0
"""Seconds. It only decides whether disk is requested that no node has, and what is warned of."""


class PolicyKeeper:
    """The policy in force.

    :param tell: posts an Event
    :param changed: called when the policy, or what nodes can give, is another one
    """

    def __init__(
        self, api: KubeApi, namespace: str, *, tell: Callable[[Note], None], changed: Callable[[], None]
    ) -> None:
        self.policy: Policy = DEFAULT
        self.nodes = Largest()
        self._api = api
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/configmaps/{ACCEPTED_CONFIGMAP}"
        self._tell = tell
        self._changed = changed
        self._text: str | None = None
        self._published: Mapping[str, str] = {}
        self.queue: WorkQueue[str] = WorkQueue("policy", self._publish, workers=1)

    async def load(self) -> None:
        """What was accepted before, if anything.

        :raises ClusterError: starting with another policy than before would size pods differently for a while
        """
        try:
            self.put_accepted(await self._api.get(self._path))
        except NotFound:
            return
        text = self._published.get(POLICY_KEY)
        if text is None:
            return
        try:
            self.policy, self._text = load_policy(text), text
            disk, memory = (self._published.get(key) for key in (NODE_DISK_KEY, NODE_MEMORY_KEY))
            self.nodes = Largest(
                disk=parse(disk, EPHEMERAL_STORAGE) if disk else None,
                memory=parse(memory, MEMORY) if memory else None,
            )
        except (InvalidPolicy, InvalidQuantity) as error:
            log.warning("accepted policy cannot be read, built-in defaults until another is accepted error=%s", error)

    def put_config(self, item: Mapping[str, Any]) -> None:
        """What the administrator wrote."""
        text = (item.get("data") or {}).get(POLICY_KEY)
        try:
            if text is None:
                raise InvalidPolicy((f"ConfigMap {POLICY_CONFIGMAP} has no key {POLICY_KEY}; add it",))  # noqa: TRY301
            policy = load_policy(text)
        except InvalidPolicy as error:
            self._refuse(item, error)
            return
        POLICY_ACCEPTED.set(1)
        if text == self._text:
            return
        log.info("policy accepted mode=%s", policy.mode)
        self._text, self.policy = text, policy
        self.queue.add(ACCEPTED_CONFIGMAP)
        self._changed()

    def remove_config(self, _: Mapping[str, Any]) -> None:
        """The last good policy stays."""
        POLICY_ACCEPTED.set(0)
        log.warning("policy is gone, the last one stays in force configmap=%s", POLICY_CONFIGMAP)

    def put_accepted(self, item: Mapping[str, Any]) -> None:
        """What is published, by us or by somebody who meddled."""
        self._published = item.get("data") or {}
        if self._text is not None and self._published != self._data():
            self.queue.add(ACCEPTED_CONFIGMAP)

    def remove_accepted(self, _: Mapping[str, Any]) -> None:
        self.put_accepted({})

    async def watch_nodes(self) -> None:
        """Forever, until cancelled."""
        while True:
            try:
                nodes = await largest_node(self._api)
            except ClusterError as error:
                log.warning("nodes not listed error=%s", error)
            else:
                if nodes != self.nodes:
                    self.nodes = nodes
                    self.queue.add(ACCEPTED_CONFIGMAP)
                    self._changed()
            await asyncio.sleep(NODES_EVERY)

    def _refuse(self, item: Mapping[str, Any], error: InvalidPolicy) -> None:
        POLICY_ACCEPTED.set(0)
        log.warning("policy refused, the last one stays in force problems=%s", error)
        metadata = item["metadata"]
        about = Regarding("v1", "ConfigMap", self._namespace, metadata["name"], metadata.get("uid", ""))
        text = f"Refused; the last accepted policy stays in force. {error}"
        self._tell(Note(about, "InvalidPolicy", text, hashlib.sha256(text.encode()).hexdigest()))

    def _data(self) -> dict[str, str]:
        data = {POLICY_KEY: self._text or ""}
        if self.nodes.disk is not None:
            data[NODE_DISK_KEY] = write(self.nodes.disk, EPHEMERAL_STORAGE)
        if self.nodes.memory is not None:
            data[NODE_MEMORY_KEY] = write(self.nodes.memory, MEMORY)
        return data

    async def _publish(self, _: str) -> None:
        if self._text is None or self._published == self._data():
            return
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": ACCEPTED_CONFIGMAP,
                "namespace": self._namespace,
                "labels": {"app.kubernetes.io/name": "pullsizer", "app.kubernetes.io/managed-by": "pullsizer"},
            },
            "data": self._data(),
        }
        written = await self._api.apply(self._path, body, field_manager=FIELD_MANAGER)
        self._published = written.get("data") or {}
