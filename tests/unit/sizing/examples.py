"""Inputs of a decision, one detail at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from pullsizer.model import Failure, Knowledge, ModelFacts, Source
from pullsizer.names import EPHEMERAL_STORAGE
from pullsizer.overrides import Overrides
from pullsizer.pod import Medium, Resources
from pullsizer.policy import Policy
from pullsizer.pulls import PullContainer
from pullsizer.quantity import GI, MI, parse, write
from pullsizer.sizing import Decision, Inputs

KSERVE_ENVIRONMENT: Final = {
    "HF_HUB_ENABLE_HF_TRANSFER": "1",
    "HF_XET_HIGH_PERFORMANCE": "1",
    "HF_XET_NUM_CONCURRENT_RANGE_GETS": "8",
}
"""What KServe v0.20.0 injects (pkg/utils/storage.go, AddDefaultHuggingFaceEnvVars)."""
KSERVE_RESOURCES: Final = Resources({"cpu": 100, "memory": 100 * MI}, {"cpu": 1000, "memory": GI})

SMALL: Final = ModelFacts(bytes=200_000_000, files=5, largest=190_000_000)
LARGE: Final = ModelFacts(bytes=60_000_000_000, files=20, largest=10_000_000_000)
ONE_FILE: Final = ModelFacts(bytes=5_000_000_000, files=1, largest=5_000_000_000)
NO_ANSWER: Final = Failure("NotFound", "the Hub knows no such model")


def container(
    *uris: str, environment: dict[str, str] | None = None, image: str = "i:v0.20.0", medium: Medium = "disk"
) -> PullContainer:
    return PullContainer(
        index=0,
        name="storage-initializer",
        image=image,
        sources=tuple(Source(uri) for uri in uris or ("hf://a/b",)),
        environment=KSERVE_ENVIRONMENT if environment is None else environment,
        medium=medium,
    )


def inputs(*knowledge: Knowledge | None, **changes: Any) -> Inputs:
    """As KServe makes the pod, with the built-in policy."""
    known = knowledge or (SMALL,)
    defaults: dict[str, Any] = {
        "container": container(*["hf://a/b"] * len(known)),
        "policy": Policy(),
        "current": KSERVE_RESOURCES,
    }
    return Inputs(knowledge=known, **{**defaults, **changes})


def policy(**values: Any) -> Policy:
    return Policy.model_validate(values)


def asked(**values: str) -> Overrides:
    """By `memory_limit`, `model_size` and so on."""
    size = values.pop("model_size", None)
    sides: dict[str, dict[str, int]] = {"request": {}, "limit": {}}
    for key, text in values.items():
        name, _, side = key.rpartition("_")
        sides[side][name.replace("_", "-")] = parse(text, name)
    return Overrides(
        model_size=parse(size, "memory") if size else None, requests=sides["request"], limits=sides["limit"]
    )


def amounts(**values: str) -> Resources:
    overrides = asked(**values)
    return Resources(overrides.requests, overrides.limits)


def given(decision: Decision, side: str, name: str) -> str | None:
    """One value of a decision, as Kubernetes would print it."""
    assert decision.resources is not None, decision.reasons
    found = decision.resources.requests if side == "request" else decision.resources.limits
    return write(found[name], name) if name in found else None


def after(before: Inputs, decision: Decision) -> Inputs:
    """The inputs of the next call, on the pod as the decision left it."""
    assert decision.resources is not None
    changed = replace(before.container, environment={**before.container.environment, **decision.environment})
    current = Resources(
        {**before.current.requests, **decision.resources.requests},
        {**before.current.limits, **decision.resources.limits},
    )
    return replace(before, container=changed, current=current)


HTTP = container("https://example.com/model.bin")
DISK = EPHEMERAL_STORAGE
TIERS = policy(
    tiers=[
        {"upTo": "1G", "requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        {"upTo": "10G", "requests": {"cpu": "3"}},
        {"limits": {"memory": "64Gi", "cpu": "8"}, "requests": {"ephemeral-storage": "1Ti"}},
    ]
)
