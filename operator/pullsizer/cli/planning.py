"""From services and pods to what becomes of their pulls, by the webhook's own decision code."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pullsizer.admission.caches import Caches
from pullsizer.admission.deciding import Sizing, Verdict, decide_pod
from pullsizer.cli.context import Context
from pullsizer.cli.documents import Object, valid
from pullsizer.kserve_pods import MadePod, inference_service_pods, llm_pods
from pullsizer.model import Knowledge, Source
from pullsizer.modelpull import Measurement, model_status, source_key
from pullsizer.names import LLM_INFERENCE_SERVICE
from pullsizer.overrides import KEYS
from pullsizer.pulls import Owner, owner_of, pull_containers
from pullsizer.selectors import why_not_asked
from pullsizer.sizing import Decision, decide

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """A pod to plan for.

    :param notes: what had to be assumed of it
    """

    namespace: str
    name: str
    owner: Owner | None
    pod: Json
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planned:
    """What becomes of a pod.

    :param not_asked: why the webhook would not be called for it; empty where it would
    """

    subject: Subject
    verdict: Verdict
    not_asked: str = ""

    @property
    def outcome(self) -> str:
        return "not_asked" if self.not_asked else self.verdict.outcome

    @property
    def operations(self) -> list[dict[str, Any]]:
        return [] if self.not_asked else list(self.verdict.operations)

    @property
    def decisions(self) -> Iterator[tuple[Sizing, Decision]]:
        """Of each pull container; where an earlier call decided, the same again."""
        for sizing in self.verdict.sizings:
            yield sizing, sizing.decision or decide(sizing.inputs)


def subjects(context: Context) -> list[Subject]:
    """The pods of a context, and those that KServe will make of its services."""
    found: list[Subject] = []
    for namespace, item in context.planned:
        if item["kind"] == "Pod":
            found.append(_subject(namespace, MadePod("", item)))
            continue
        made = llm_pods if item["kind"] == LLM_INFERENCE_SERVICE else inference_service_pods
        with valid(f"{item['kind']} {namespace}/{item['metadata'].get('name', '')}"):
            found += (_subject(namespace, one) for one in made(item, namespace, context.kserve))
            _carry_over(item, namespace, context)
    return found


def _subject(namespace: str, made: MadePod) -> Subject:
    metadata = made.pod["metadata"]
    name = str(metadata.get("name") or metadata.get("generateName") or "").rstrip("-")
    return Subject(namespace, name, owner_of(metadata.get("labels")), made.pod, made.notes)


def _carry_over(item: Object, namespace: str, context: Context) -> None:
    """What the controller does: an LLMInferenceService's own annotations never reach its pods."""
    if item["kind"] != LLM_INFERENCE_SERVICE:
        return
    metadata = item["metadata"]
    overrides = {key: str(value) for key, value in (metadata.get("annotations") or {}).items() if key in KEYS}
    context.caches.put_model_pull(
        {
            "metadata": {"namespace": namespace, "name": f"plan-{metadata.get('name')}"},
            "spec": {"serviceRef": {"kind": item["kind"], "name": metadata.get("name")}, "overrides": overrides},
        }
    )


@dataclass(frozen=True)
class Asked:
    """Something that is pulled, and for whom."""

    namespace: str
    owner: Owner | None
    source: Source

    def is_known(self, caches: Caches) -> bool:
        """Whether something is known of it, be it a failure."""
        service = (self.namespace, self.owner.kind, self.owner.service) if self.owner else None
        return caches.knowledge(self.namespace, source_key(self.source), service) is not None

    def tell(self, caches: Caches, knowledge: Knowledge) -> None:
        """Make it known, as a ModelPull of the service does. What is told last counts."""
        name = f"told-{self.owner.kind}-{self.owner.service}" if self.owner else "told"
        spec = {"serviceRef": {"kind": self.owner.kind, "name": self.owner.service}} if self.owner else {}
        caches.put_model_pull(
            {
                "metadata": {"namespace": self.namespace, "name": f"{name}-{source_key(self.source)}"},
                "spec": spec,
                "status": {"models": [model_status(self.source, Measurement(knowledge, time.time()))]},
            }
        )


def asked(found: Iterable[Subject], context: Context) -> list[Asked]:
    """All that is pulled, each once for a service."""
    pulled: dict[Asked, None] = {}
    for subject in found:
        with valid(f"Pod {subject.namespace}/{subject.name}"):
            pulls = list(pull_containers(subject.pod, context.caches.kserve))
        owner = replace(subject.owner, component="") if subject.owner else None
        pulled |= {Asked(subject.namespace, owner, source): None for pull in pulls for source in pull.sources}
    return list(pulled)


def plan(found: Iterable[Subject], context: Context) -> list[Planned]:
    """What becomes of each pod.

    :raises BadInput: for a pod that the API server would refuse
    """
    planned = []
    for subject in found:
        with valid(f"Pod {subject.namespace}/{subject.name}"):
            verdict = decide_pod(subject.pod, subject.namespace, context.caches)
        labels = subject.pod["metadata"].get("labels") or {}
        namespace_labels = context.namespace_labels.get(subject.namespace, {})
        not_asked = why_not_asked(labels, subject.namespace, namespace_labels)
        planned.append(Planned(subject, verdict, not_asked if verdict.outcome != "nothing_to_pull" else ""))
    return planned
