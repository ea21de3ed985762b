"""The state of one resource, kept by list and watch, as callbacks on the event loop.

The official client's SharedInformer was looked at and is not used: its list takes a custom object's dict for a typed
list (`.items` is then a method), it has no back-off (an API server that is down becomes a busy loop), no sign of having
synced, and it takes a thread for each resource.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

from pullsizer.cluster.client import KubeApi, Object
from pullsizer.cluster.metrics import WATCH_AGE, WATCH_ERRORS, WATCH_OBJECTS
from pullsizer.errors import ClusterError, NotFound

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_FORBIDDEN: Final = 403
_GONE: Final = 410
_CALM: Final = 15.0
"""Seconds between questions for what does not exist, or is not ours to read: that may stay so for ever, as with a CRD
that nobody installed."""
_IDENTITY: Final = ("name", "namespace", "uid", "labels", "resourceVersion")


class Reflector:
    """Lists, then watches, one resource for ever; survives whatever the API server and the callbacks do.

    Objects come as plain dicts, without `managedFields`. A resource that does not exist counts as empty.

    :param path: of the resource: `/apis/pullsizer.dev/v1alpha1/modelpulls`
    :param on_change: an object is new or has changed; also called for each at the start
    :param on_delete: an object is gone; it holds at least name, namespace, uid and labels
    :param name: for logs and metrics
    :param optional: where we have no right to it, it counts as empty until we have: others of ours need not wait
    :param inactivity: seconds of silence after which a watch counts as dead. Bookmarks come about once a minute
    """

    def __init__(
        self,
        api: KubeApi,
        path: str,
        *,
        label_selector: str = "",
        field_selector: str = "",
        on_change: Callable[[dict[str, Any]], None],
        on_delete: Callable[[dict[str, Any]], None],
        name: str,
        optional: bool = False,
        inactivity: float = 100,
    ) -> None:
        self.synced = asyncio.Event()
        """Set once all that there is was handed to `on_change`, and ever after."""
        self.name = name
        self._optional = optional
        self._denied = False
        """Whether it was never listed, and counts as empty for lack of the right to."""
        self._api = api
        self._path = path
        self._selectors = {"label_selector": label_selector, "field_selector": field_selector}
        self._on_change = on_change
        self._on_delete = on_delete
        self._inactivity = inactivity
        self._known: dict[tuple[str, str], Object] = {}
        self._version = ""
        self._pause = 0.0
        self._expired = False
        """Whether a watch expired, and none has said anything good since."""
        self._contact = time.monotonic()
        WATCH_AGE.labels(name).set_function(self.age)

    def age(self) -> float:
        """Seconds since the API server last said anything."""
        return time.monotonic() - self._contact

    async def run(self) -> None:
        """Forever, until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except NotFound:
                # Whatever was known went with its definition.
                self._replace([])
                self._version = ""
                self._heard()
                if not self.synced.is_set():
                    log.info("resource does not exist, taken as empty watch=%s path=%s", self.name, self._path)
                    self.synced.set()
                self._pause = _CALM
            except ClusterError as error:
                self._failed(error)
            except Exception as error:  # nothing that an object holds may end the watch
                log.exception("watch failed watch=%s", self.name)
                self._version = ""
                self._failed(error)
            if self._pause:
                await asyncio.sleep(self._pause * random.uniform(0.5, 1))  # noqa: S311 - jitter

    def _failed(self, error: Exception) -> None:
        status = error.status if isinstance(error, ClusterError) else 0
        if status == _GONE:
            # Our version is older than what the server remembers: list again, and see what changed meanwhile.
            log.info("watch expired, listing again watch=%s", self.name)
            # Once, and at once: a list is young enough. One whose watch expires as well is asked for less often.
            self._version = ""
            self._pause = self._longer() if self._expired else 0
            self._expired = True
            return
        kind = str(status or "connection") if isinstance(error, ClusterError) else "internal"
        WATCH_ERRORS.labels(self.name, kind).inc()
        if status == _FORBIDDEN and self._optional and (self._denied or not self.synced.is_set()):
            self._heard()
            if not self._denied:
                log.warning("no right to read, taken as empty until there is watch=%s error=%s", self.name, error)
            self._denied = True
            self.synced.set()
            self._pause = _CALM
            return
        self._pause = self._longer()
        log.warning("watch interrupted watch=%s error=%s retry_in=%.1f", self.name, error, self._pause)

    def _longer(self) -> float:
        return min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)

    def _heard(self) -> None:
        self._contact = time.monotonic()

    async def _list(self) -> None:
        whole = await self._api.list(self._path, **self._selectors)
        self._heard()
        self._replace(whole["items"])
        self._version = whole["metadata"]["resourceVersion"]
        self._denied = False
        self.synced.set()

    async def _watch(self) -> None:
        began = time.monotonic()
        events = self._api.watch(
            self._path,
            resource_version=self._version,
            # Spread, so that not all watches of all processes end at once.
            timeout_seconds=random.randint(240, 300),  # noqa: S311
            inactivity=self._inactivity,
            opened=self._heard,
            **self._selectors,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                self._heard()
                self._take(event["type"], event["object"])
                self._pause, self._expired = 0, False
        # A watch that the server ends at once, and again, is one to ask for less often.
        if time.monotonic() - began > 1:
            self._pause, self._expired = 0, False
        else:
            self._pause = self._longer()

    def _take(self, kind: str, item: Object) -> None:
        if kind == "ERROR":
            raise ClusterError(int(item.get("code") or 0), f"watch {self._path}: {item.get('message')}")
        if kind in ("ADDED", "MODIFIED"):
            self._changed(item)
        elif kind == "DELETED":
            if self._known.pop(_key(item), None) is not None:
                self._call(self._on_delete, item)
            WATCH_OBJECTS.labels(self.name).set(len(self._known))
        self._version = item["metadata"]["resourceVersion"]

    def _replace(self, items: list[Object]) -> None:
        """After a list: tells what changed since the last one, and nothing of what did not."""
        now = {_key(item) for item in items}
        for key in [key for key in self._known if key not in now]:
            self._call(self._on_delete, self._known.pop(key))
        for item in items:
            before = self._known.get(_key(item))
            if before is None or before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._changed(item)
        WATCH_OBJECTS.labels(self.name).set(len(self._known))

    def _changed(self, item: Object) -> None:
        metadata = item["metadata"]
        metadata.pop("managedFields", None)
        # Only what names it: who needs more of the object keeps it, and pods are large.
        self._known[_key(item)] = {
            "apiVersion": item.get("apiVersion", ""),
            "kind": item.get("kind", ""),
            "metadata": {name: metadata[name] for name in _IDENTITY if name in metadata},
        }
        WATCH_OBJECTS.labels(self.name).set(len(self._known))
        self._call(self._on_change, item)

    def _call(self, callback: Callable[[dict[str, Any]], None], item: Object) -> None:
        try:
            callback(item)
        except Exception:  # one object that its reader cannot read must not stop the others
            WATCH_ERRORS.labels(self.name, "callback").inc()
            log.exception("object could not be taken in watch=%s object=%s", self.name, "/".join(_key(item)))


def _key(item: Object) -> tuple[str, str]:
    metadata = item["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])
