"""What is worth an Event, and the words for it. Pure: from what was and what is to notes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pullsizer.controller.events import Note, Reason, Regarding
from pullsizer.controller.inventory import Pull, PullPod, Service
from pullsizer.modelpull import ModelPull
from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY
from pullsizer.overrides import parse_overrides

Json = Mapping[str, Any]

_YOUNG: Final = 600
"""Seconds in which a pod's sizing is news. Events live for an hour: a restart of ours does not tell of it again."""
_AS_EXPECTED: Final = frozenset({"NothingToPull"})


def regarding(service: Service) -> Regarding:
    ref, key = service.ref, service.key
    return Regarding(ref.api_version, ref.kind, key.namespace, key.name, ref.uid)


def of_service(service: Service) -> Iterator[Note]:
    """Annotations with wrong values, which are left out of every decision."""
    _, problems = parse_overrides(service.annotations)
    for problem in problems:
        text = f"Annotation {problem}. It is left out until it is corrected."
        yield Note(regarding(service), "InvalidAnnotation", text, text)


def of_status(
    service: Service, pull: ModelPull, before: Json, after: Json, short: Sequence[str] = ()
) -> Iterator[Note]:
    """A model that became known, or turned out to be something else; one that could not be measured, and why; and what
    stands in the way of its pull, before there is a pod.

    :param short: what quotas have no room for now. Told once, as the model becomes known: it changes with every pod
    """
    about = regarding(service)
    old, new = _condition(before, "Measured"), _condition(after, "Measured")
    uris = ", ".join(source.public_uri for source in pull.sources[:3]) + (" …" if len(pull.sources) > 3 else "")
    if new.get("status") == "True" and (old.get("status") != "True" or old.get("message") != new.get("message")):
        text = f"{uris} ({pull.component}): {new['message']}. Its pull should get {_gets(after)}."
        yield Note(about, "ModelMeasured", text, f"{pull.name}/{_moment(after)}")
        if short:
            text = f"{uris} ({pull.component}): {'; '.join(short)}."
            yield Note(about, "PullAtRisk", text, f"{pull.name}/{_moment(after)}")
    failed = new.get("status") == "False" and new.get("reason") not in _AS_EXPECTED
    if failed and (old.get("status") != "False" or old.get("reason") != new.get("reason")):
        text = f"{uris} ({pull.component}): {new['message']}. Until it is measured its pull gets {_gets(after)}."
        yield Note(about, "MeasureFailed", text, f"{pull.name}/{_moment(after)}")

    risks = (after.get("recommendation") or {}).get("warnings") or []
    if risks and risks != (before.get("recommendation") or {}).get("warnings"):
        text = f"{uris} ({pull.component}): {'; '.join(risks)}."
        yield Note(about, "PullAtRisk", text, f"{pull.name}/{_digest(risks)}")


def of_pod(service: Service, pod: PullPod, now: float) -> Iterator[Note]:
    """What the webhook did to a new pod, and pulls that were killed."""
    about = regarding(service)
    for pull in pod.pulls:
        if _age(pod.created, now) < _YOUNG:
            yield from _sizing(about, pod, pull)
        for outcome in pull.outcomes:
            if outcome.result == "OOMKilled":
                limit = outcome.resources.get("limits", {}).get(MEMORY)
                at = f" at its memory limit of {limit}" if limit else ""
                text = f"Pod {pod.name}: {pull.container} was killed{at}. It starts again with the same limit."
                yield Note(about, "PullOOMKilled", text, outcome.id)
            elif outcome.result == "Evicted":
                text = f"Pod {pod.name} was evicted while {pull.container} pulled the model."
                yield Note(about, "PullEvicted", text, outcome.id)


def _sizing(about: Regarding, pod: PullPod, pull: Pull) -> Iterator[Note]:
    """Told only of what the pod really has: anybody can write the annotation."""
    try:
        item = json.loads(pod.sizing)["containers"][pull.container] if pod.sizing else None
        if item is None:
            return
        before, after, why = item["from"], item["to"], [str(reason) for reason in item["why"]]
        changed = ", ".join(_changes(before, after))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    because = why[0] if why else "no reason was noted"
    topic = f"{pod.uid}/{pull.container}"
    reason: Reason = "PullSized" if changed else "PullNotSized"
    text = f"{changed} because {because}" if changed else f"stays as it is: {because}"
    if after == _written(pull.resources):
        yield Note(about, reason, f"Pod {pod.name}: {pull.container} {'gets ' if changed else ''}{text}", topic)


def _changes(before: Json, after: Json) -> Iterator[str]:
    for resource in (MEMORY, CPU, EPHEMERAL_STORAGE):
        old, new = _sides(before, resource), _sides(after, resource)
        if old != new:
            yield f"{resource} {new}" + (f" instead of {old}" if old else "")


def _sides(resources: Json, resource: str) -> str:
    """`request/limit`."""
    amounts = (resources.get(side, {}).get(resource) for side in ("requests", "limits"))
    return "/".join(str(amount) for amount in amounts if amount is not None)


def _written(resources: Json) -> dict[str, dict[str, str]]:
    return {side: {str(k): str(v) for k, v in (resources.get(side) or {}).items()} for side in ("requests", "limits")}


def _gets(status: Json) -> str:
    columns = ((MEMORY, "memory"), (CPU, "cpu"), (EPHEMERAL_STORAGE, "disk"))
    parts = [f"{name} {status[column]}" for name, column in columns if status.get(column, "-") != "-"]
    return ", ".join(parts) or "nothing of ours"


def _condition(status: Json, kind: str) -> Json:
    return next((item for item in status.get("conditions") or () if item.get("type") == kind), {})


def _moment(status: Json) -> str:
    """Names what was found when: the same again after something else is news once more."""
    found = [(item.get("source"), item.get("measuredAt")) for item in status.get("models") or ()]
    return _digest(found)


def _digest(found: object) -> str:
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:12]


def _age(created: str, now: float) -> float:
    try:
        return now - datetime.fromisoformat(created).astimezone(UTC).timestamp()
    except ValueError:
        return _YOUNG
