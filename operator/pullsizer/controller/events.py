"""Events on services, in plain words; each thing is told once.

An Event's name is made from what it tells. So a repetition is the API server's 409, also after a restart and between
two controllers, and nothing has to be remembered.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pullsizer.cluster import KubeApi
from pullsizer.controller.metrics import EVENTS
from pullsizer.errors import ClusterError

log = logging.getLogger(__name__)

CONTROLLER: Final = "pullsizer"
Reason = Literal[
    "InvalidAnnotation",
    "InvalidPolicy",
    "MeasureFailed",
    "ModelMeasured",
    "PullAtRisk",
    "PullEvicted",
    "PullNotSized",
    "PullOOMKilled",
    "PullSized",
]
_NORMAL: Final = frozenset({"ModelMeasured", "PullSized", "PullNotSized"})
_LONGEST_NOTE: Final = 1000  # the API allows 1024 bytes
_WAITING: Final = 2000
_REMEMBERED: Final = 10_000


@dataclass(frozen=True)
class Regarding:
    """What an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Note:
    """One thing to tell.

    :param topic: with the reason it names what is told; the same topic is not told twice
    """

    regarding: Regarding
    reason: Reason
    text: str
    topic: str

    def name(self) -> str:
        digest = hashlib.sha256(f"{self.regarding.uid}/{self.reason}/{self.topic}".encode()).hexdigest()[:16]
        return f"{self.regarding.name[:200].rstrip('.-')}.{digest}"

    def to_object(self, identity: str) -> dict[str, Any]:
        about = self.regarding
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": self.name(), "namespace": about.namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": identity[:128],
            "action": "SizePull",
            "type": "Normal" if self.reason in _NORMAL else "Warning",
            "reason": self.reason,
            "note": _cut(self.text),
            "regarding": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
        }


class Recorder:
    """Posts Events beside the work, never in its way."""

    def __init__(self, api: KubeApi, identity: str) -> None:
        self._api = api
        self._identity = identity
        self._notes: asyncio.Queue[Note] = asyncio.Queue(_WAITING)
        self._told: dict[str, None] = {}

    def tell(self, note: Note) -> None:
        """Sooner or later; not at all where too many wait, until it happens again, or it was told before."""
        name = note.name()
        if name in self._told:
            return
        if len(self._told) >= _REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[name] = None
        try:
            self._notes.put_nowait(note)
        except asyncio.QueueFull:
            del self._told[name]
            EVENTS.labels("dropped").inc()

    async def run(self) -> None:
        """Forever, until cancelled. One at a time: Events are the least that the API server should hear from us."""
        while True:
            note = await self._notes.get()
            path = f"/apis/events.k8s.io/v1/namespaces/{note.regarding.namespace}/events"
            try:
                await self._api.create(path, note.to_object(self._identity))
                EVENTS.labels("posted").inc()
            except ClusterError as error:
                # 409: told before. 403 and 404: the namespace is going, or gone.
                EVENTS.labels("repeated" if error.status == 409 else "failed").inc()
                if error.status not in (403, 404, 409):
                    self._told.pop(note.name(), None)  # told again when it happens again
                    log.warning("event not posted reason=%s error=%s", note.reason, error)
            except Exception:  # one that our own code trips over must not end the telling of others
                self._told.pop(note.name(), None)
                log.exception("event not posted reason=%s", note.reason)


def _cut(text: str) -> str:
    raw = text.encode()
    return text if len(raw) <= _LONGEST_NOTE else raw[: _LONGEST_NOTE - 3].decode(errors="ignore") + "…"
