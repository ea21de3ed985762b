"""A ModelPull's status from what is known: conditions, facts, the recommendation, what came of pulls. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pullsizer.controller.nodes import Largest
from pullsizer.controller.outcomes import Outcome
from pullsizer.kserve import INJECTED
from pullsizer.limits import UNLIMITED, NamespaceLimits
from pullsizer.model import Failure, ModelFacts, Source
from pullsizer.modelpull import Condition, Measurement, model_status
from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY, STORAGE_INITIALIZER
from pullsizer.overrides import NONE, Overrides
from pullsizer.pod import Resources
from pullsizer.policy import Policy
from pullsizer.pulls import PullContainer
from pullsizer.quantity import human, write
from pullsizer.quota import NO_QUOTA, Allowance
from pullsizer.sizing import Decision, Inputs, decide

Json = Mapping[str, Any]

HISTORY: Final = 10
_UNKNOWN: Final = "unknown"
_HELD: Final = (
    "more is new than the Hub may be asked at once (sources.huggingFace.requestsPer5Minutes), so it takes longer"
)
"""Without a number: how many come before it changes all the time, and each change would be a write."""
_KSERVE_RESOURCES: Final = Resources({CPU: 100, MEMORY: 100 << 20}, {CPU: 1000, MEMORY: 1 << 30})


@dataclass(frozen=True)
class Surroundings:
    """What holds around a pull, but for its pod.

    :param image: of KServe's downloader
    """

    policy: Policy
    overrides: Overrides = NONE
    limits: NamespaceLimits = UNLIMITED
    quota: Allowance = NO_QUOTA
    nodes: Largest = field(default_factory=Largest)
    image: str = ""


def recommend(
    sources: tuple[Source, ...], answers: Sequence[Measurement | None], surroundings: Surroundings
) -> Decision:
    """What a pull of these gets in a pod as KServe makes it; a pod of its own kind may get other values."""
    around = surroundings
    return decide(
        Inputs(
            container=PullContainer(0, STORAGE_INITIALIZER, around.image, sources, INJECTED, "disk"),
            knowledge=tuple(answer.knowledge if answer else None for answer in answers),
            policy=around.policy,
            current=_KSERVE_RESOURCES,
            overrides=around.overrides,
            limits=around.limits,
            quota=around.quota,
            node_disk=around.nodes.disk,
            node_memory=around.nodes.memory,
        )
    )


def status_of(
    *,
    sources: tuple[Source, ...],
    answers: Sequence[Measurement | None],
    decision: Decision,
    observed: Sequence[Outcome],
    previous: Json,
    generation: int,
    endpoint: str,
    now: float,
    held: bool = False,
) -> dict[str, Any]:
    """The status.

    :param previous: the one before, whose history goes on and whose conditions keep their times
    :param endpoint: of the Hub that was asked; facts are another Hub's no more when it changes
    :param held: whether a source without an answer waits for its turn at a Hub
    """
    models = [model_status(source, answer) for source, answer in zip(sources, answers, strict=True) if answer]
    history = _history(previous, observed)
    conditions = [
        _measured(sources, answers, held=held),
        _sized(decision),
        _healthy(history[-1] if history else None),
    ]
    facts = [answer.knowledge for answer in answers if answer and isinstance(answer.knowledge, ModelFacts)]
    whole = len(facts) == len(sources)
    return {
        "observedGeneration": generation,
        "conditions": [_dated(condition, previous, generation, now) for condition in conditions],
        "models": models,
        "endpoint": endpoint,
        "recommendation": _recommendation(decision),
        "history": history,
        # For `kubectl get`, whose columns show text as it is.
        "size": human(sum(item.bytes for item in facts)) if whole else _UNKNOWN,
        "files": str(sum(item.files for item in facts)) if whole else _UNKNOWN,
        "cpu": _column(decision, CPU),
        "memory": _column(decision, MEMORY),
        "disk": _column(decision, EPHEMERAL_STORAGE),
        "basis": decision.basis,
        "health": conditions[2]["status"] if not history else history[-1]["outcome"],
    }


def _recommendation(decision: Decision) -> dict[str, Any]:
    found: dict[str, Any] = {"basis": decision.basis, "reasons": list(decision.reasons)}
    if decision.resources is not None:
        found["requests"] = {name: write(amount, name) for name, amount in decision.resources.requests.items()}
        found["limits"] = {name: write(amount, name) for name, amount in decision.resources.limits.items()}
    if decision.warnings:
        found["warnings"] = list(decision.warnings)
    if decision.environment:
        found["environment"] = dict(decision.environment)
    return found


def _column(decision: Decision, resource: str) -> str:
    """`request/limit`, or whichever of them there is."""
    if decision.resources is None:
        return "-"
    sides = (decision.resources.requests.get(resource), decision.resources.limits.get(resource))
    return "/".join(write(amount, resource) for amount in sides if amount is not None) or "-"


def _measured(sources: tuple[Source, ...], answers: Sequence[Measurement | None], *, held: bool) -> dict[str, str]:
    failures = [answer.knowledge for answer in answers if answer and isinstance(answer.knowledge, Failure)]
    if failures:
        return _condition("Measured", "False", failures[0].reason, failures[0].message)
    missing = sum(answer is None for answer in answers)
    if missing:
        text = f"{missing} of {len(sources)} sources not answered yet"
        return _condition("Measured", "Unknown", "Measuring", f"{text}; {_HELD}" if held else text)
    facts = [answer.knowledge for answer in answers if answer and isinstance(answer.knowledge, ModelFacts)]
    size, files = human(sum(item.bytes for item in facts)), sum(item.files for item in facts)
    return _condition("Measured", "True", "Measured", f"{size} in {files} {'file' if files == 1 else 'files'}")


def _sized(decision: Decision) -> dict[str, str]:
    reasons = "; ".join(decision.reasons)
    if decision.resources is None:
        return _condition("Sized", "False", "NoValidAnswer", reasons)
    reason = {"annotation": "Annotation", "tier": "Tier", "model": "Model", "default": "ModelPullResources"}
    return _condition("Sized", "True", reason[decision.basis], reasons or "no model to size by")


def _healthy(last: Json | None) -> dict[str, str]:
    if last is None:
        return _condition("PullHealthy", "Unknown", "NotPulledYet", "no pull was seen to end")
    limit = (last.get("resources") or {}).get("limits", {}).get(MEMORY)
    messages = {
        "Succeeded": f"the last pull, in pod {last['pod']}, was complete",
        "OOMKilled": f"the pull in pod {last['pod']} was killed for its memory"
        + (f", which was limited to {limit}" if limit else ""),
        "Evicted": f"pod {last['pod']} was evicted while it pulled",
        "Failed": f"the pull in pod {last['pod']} ended with exit code {last['exitCode']}",
    }
    outcome = last["outcome"]
    return _condition("PullHealthy", "True" if outcome == "Succeeded" else "False", outcome, messages[outcome])


def _condition(kind: Condition, status: str, reason: str, message: str) -> dict[str, str]:
    # 1024: what the CRD lets a message have.
    return {"type": kind, "status": status, "reason": reason, "message": message[:1024]}


def _dated(condition: dict[str, str], previous: Json, generation: int, now: float) -> dict[str, Any]:
    """With the time at which its status changed, which is not the time at which its words did."""
    before: Json = next((c for c in previous.get("conditions") or () if c.get("type") == condition["type"]), {})
    moment = before.get("lastTransitionTime") if before.get("status") == condition["status"] else None
    return condition | {
        "lastTransitionTime": moment or datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "observedGeneration": generation,
    }


def _history(previous: Json, observed: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The newest ends of pulls, the last one last; each once, though its pod shows it for as long as it lives."""
    found: dict[str, dict[str, Any]] = {item["id"]: item for item in previous.get("history") or ()}
    for outcome in observed:
        found.setdefault(outcome.id, outcome.to_status())
    return sorted(found.values(), key=lambda item: (item["finishedAt"], item["id"]))[-HISTORY:]
