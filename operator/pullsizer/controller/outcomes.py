"""How pulls ended, read from the statuses of pull containers.

What statuses really say (observed on real nodes): an OOM kill has the reason `OOMKilled` with exit code 137, 1 or even
0; 137 without it can be an eviction; a pod's deletion repeats an old end once more. So the reason counts before the
exit code, and an end is counted once for each container that was started.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Mapping[str, Any]
Result = Literal["Succeeded", "OOMKilled", "Evicted", "Failed"]


@dataclass(frozen=True)
class Outcome:
    """The end of one run of a pull container.

    :param id: of the container that was started; the same end seen twice has the same
    :param resources: what the container had, as its pod says it
    """

    id: str
    pod: str
    result: Result
    exit_code: int
    started: str
    finished: str
    resources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def to_status(self) -> dict[str, Any]:
        """An item of `status.history`."""
        return {
            "id": self.id,
            "pod": self.pod,
            "outcome": self.result,
            "exitCode": self.exit_code,
            "startedAt": self.started,
            "finishedAt": self.finished,
            "resources": {side: dict(amounts) for side, amounts in self.resources.items() if amounts},
        }


def outcomes(pod: Json, container: Json) -> tuple[Outcome, ...]:
    """All ends of the pod's init container that its status still tells of: the current one and the one before."""
    return tuple(_outcomes(pod, container))


def _outcomes(pod: Json, container: Json) -> Iterator[Outcome]:
    metadata, status = pod["metadata"], pod.get("status") or {}
    mine = next((s for s in status.get("initContainerStatuses") or () if s.get("name") == container.get("name")), None)
    if mine is None:
        return
    evicted = status.get("reason") == "Evicted"
    resources = {
        side: {str(name): str(amount) for name, amount in (block or {}).items()}
        for side, block in (container.get("resources") or {}).items()
        if side in ("requests", "limits")
    }
    restarts = int(mine.get("restartCount") or 0)
    for state, restart in (("lastState", restarts - 1), ("state", restarts)):
        ended = (mine.get(state) or {}).get("terminated")
        if not ended or not ended.get("finishedAt"):
            continue
        identity = ended.get("containerID") or f"{metadata.get('uid')}/{restart}"
        exit_code = int(ended.get("exitCode") or 0)
        yield Outcome(
            id=hashlib.sha256(str(identity).encode()).hexdigest()[:12],
            pod=metadata["name"],
            result=_result(str(ended.get("reason") or ""), exit_code, evicted=evicted),
            exit_code=exit_code,
            started=str(ended.get("startedAt") or ended["finishedAt"]),
            finished=str(ended["finishedAt"]),
            resources=resources,
        )


def _result(reason: str, exit_code: int, *, evicted: bool) -> Result:
    if reason == "OOMKilled":
        return "OOMKilled"
    if exit_code == 0:
        return "Succeeded"
    return "Evicted" if evicted else "Failed"
