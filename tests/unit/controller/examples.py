"""Services, pods and a stand-in for the Hub."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER, Access

FACTS = ModelFacts(bytes=2_000_000_000, files=3, largest=1_900_000_000, revision="r1")


def isvc(name: str = "bert", uri: str = "hf://org/bert", **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": "models", "uid": f"uid-{name}", "annotations": annotations},
        "spec": {"predictor": {"model": {"storageUri": uri}}},
    }


def llm(name: str = "llama", uri: str = "hf://org/llama", **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": name, "namespace": "models", "uid": f"uid-{name}", "annotations": annotations},
        "spec": {"model": {"uri": uri}},
    }


def pod(name: str = "bert-1", uri: str = "hf://org/bert", service: str = "bert", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "models",
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-11-22T10:00:00Z",
            "labels": {"serving.kserve.io/inferenceservice": service, "component": "predictor"},
            "annotations": {},
        },
        "spec": {
            "initContainers": [
                {
                    "name": "storage-initializer",
                    "image": "kserve/storage-initializer:v0.20.0",
                    "args": [uri, "/mnt/models"],
                    "resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "100Mi"}},
                }
            ]
        },
        "status": {"initContainerStatuses": [{"name": "storage-initializer", **status}]} if status else {},
    }


def ended(reason: str, code: int, run: str = "containerd://1", at: str = "2026-11-22T10:01:00Z") -> dict[str, Any]:
    return {"terminated": {"reason": reason, "exitCode": code, "containerID": run, "startedAt": at, "finishedAt": at}}


class Hub:
    """Answers as a test says: facts, an error, or not before it is let go."""

    def __init__(self) -> None:
        self.answers: dict[str, ModelFacts | Exception] = {}
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        self.checked: Counter[str] = Counter()
        self.same = True
        self.with_token: dict[str, ModelFacts | Exception] = {}
        self.hold: dict[str, asyncio.Event] = {}
        self.endpoints: list[str] = []
        self.at: dict[str, ModelFacts | Exception] = {}

    async def measure(self, source: Source, *, access: Access = STRANGER, rules: SourceRules) -> ModelFacts:
        self.asked.append(source.uri)
        token = access.get("HF_TOKEN") or None
        self.tokens.append(token)
        self.endpoints.append(source.endpoint)
        if source.uri in self.hold:
            await self.hold[source.uri].wait()
        answer = self.at.get(source.endpoint) or (self.with_token if token else self.answers).get(source.uri, FACTS)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def unchanged(
        self, source: Source, facts: ModelFacts, *, access: Access = STRANGER, rules: SourceRules
    ) -> bool:
        self.checked[source.uri] += 1
        if source.uri in self.answers and isinstance(self.answers[source.uri], Exception):
            raise self.answers[source.uri]  # type: ignore[misc]
        return self.same


def refused(reason: str = "Unauthorized", retry_after: float = 900) -> MeasureError:
    return MeasureError(reason, f"{reason} it is", retry_after)
