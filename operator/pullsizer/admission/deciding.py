"""What becomes of a pod: the whole way from its JSON to the patch, as a function of what is known.

No metric, no wait, no call: the webhook answers with it and `pullsizer plan` shows it, so that both say the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pullsizer import __version__
from pullsizer.admission.caches import Caches
from pullsizer.admission.note import already_sized, entry, read, render
from pullsizer.admission.patch import (
    Operation,
    UnsafePatch,
    annotation_operations,
    check,
    environment_operations,
    resource_operations,
    token_mount_operations,
)
from pullsizer.model import Failure, Knowledge, Source
from pullsizer.modelpull import source_key
from pullsizer.names import LLM_INFERENCE_SERVICE
from pullsizer.overrides import Overrides, Problem, parse_overrides
from pullsizer.pod import PodResources, Resources, pod_resources, set_by_limit_ranger
from pullsizer.policy import Mode
from pullsizer.pulls import Owner, PullContainer, owner_of, pull_containers
from pullsizer.sizing import Decision, Inputs, decide

Json = Mapping[str, Any]
Outcome = Literal[
    "sized",
    "unchanged",
    "recommended",
    "disabled",
    "not_selected",
    "nothing_to_pull",
    "left_alone",
    "unsafe_patch",
]


@dataclass(frozen=True)
class Sizing:
    """What becomes of one container.

    :param decision: None where the container has just what an earlier call gave it, from the very same inputs
    """

    inputs: Inputs
    decision: Decision | None


@dataclass(frozen=True)
class Question:
    """A pod that is ours to size, and what is read of it once."""

    namespace: str
    pod: Json
    pulls: tuple[PullContainer, ...]
    owner: Owner | None
    overrides: Overrides

    @property
    def service(self) -> tuple[str, str, str] | None:
        return (self.namespace, self.owner.kind, self.owner.service) if self.owner else None


@dataclass(frozen=True)
class Verdict:
    """What becomes of a pod.

    :param operations: the patch; empty where the pod stays as it is
    :param sizings: of each pull container; empty where the policy or an annotation keeps us from looking
    :param problems: annotations of the pod that were left out
    :param mode: in force for this pod
    :param unsafe: why the patch may not be sent, where it may not
    :param unknown: what was asked, where there was no answer yet, positive or negative, on some of it
    """

    outcome: Outcome
    operations: Sequence[Operation] = ()
    sizings: tuple[Sizing, ...] = ()
    problems: tuple[Problem, ...] = ()
    mode: Mode = "Auto"
    unsafe: UnsafePatch | None = None
    unknown: Question | None = None


def decide_pod(pod: Json, namespace: str, caches: Caches) -> Verdict:
    """What becomes of a pod in a namespace.

    :raises InvalidQuantity: the API server would refuse the pod as well
    """
    pulls = tuple(pull_containers(pod, caches.kserve))
    if not pulls:
        return Verdict("nothing_to_pull")
    metadata = pod.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if caches.policy.mode == "Disabled":
        return Verdict("disabled", mode="Disabled")
    if not caches.policy.selects(namespace, labels):
        return Verdict("not_selected")
    asked, problems = parse_overrides(metadata.get("annotations"))
    owner = owner_of(labels)
    overrides = _with_general(asked, namespace, owner, caches)
    mode = overrides.mode or caches.policy.mode
    if mode == "Disabled":
        return Verdict("disabled", problems=problems, mode=mode)
    return _decided(Question(namespace, pod, pulls, owner, overrides), mode, problems, caches)


def is_known(question: Question, caches: Caches) -> bool:
    """Whether there is an answer by now on all that the decision asks for."""
    owner = question.owner
    if owner is not None and owner.kind == LLM_INFERENCE_SERVICE:
        # its overrides come with its ModelPull
        sources_in_sight = any(source.measurable for pull in question.pulls for source in pull.sources)
        if sources_in_sight and not caches.knows_service((question.namespace, owner.kind, owner.service)):
            return False
    if question.overrides.model_size is not None:
        return True
    return all(
        caches.knowledge(question.namespace, source_key(source), question.service) is not None
        for pull in question.pulls
        for source in pull.sources
        if source.measurable
    )


def _with_general(asked: Overrides, namespace: str, owner: Owner | None, caches: Caches) -> Overrides:
    """What the pod asks for, its service and its namespace: the nearer word counts."""
    general = caches.namespace_overrides(namespace)
    if owner is not None and owner.kind == LLM_INFERENCE_SERVICE:
        service = caches.service_overrides((namespace, owner.kind, owner.service))
        general = service.over(general) if service else general
    return asked.over(general) if general else asked


def _decided(question: Question, mode: Mode, problems: tuple[Problem, ...], caches: Caches) -> Verdict:
    pod = question.pod
    unknown = None if is_known(question, caches) else question
    spec = pod["spec"]
    earlier = read(pod)
    notes: dict[str, Any] = {}
    operations: list[Operation] = []
    decided: dict[int, Resources] = {}
    sizings = []
    left_alone = False
    all_resources = pod_resources(spec)
    for pull in question.pulls:
        container = spec["initContainers"][pull.index]
        inputs = _inputs(question, pull, all_resources, caches)
        digest = _digest(inputs, caches.policy_digest)
        if already_sized(pod, pull.name, container, digest):
            sizings.append(Sizing(inputs, None))
            continue
        decision = decide(inputs)
        sizings.append(Sizing(inputs, decision))
        if decision.resources is None:
            left_alone = True
        else:
            changes = environment_operations(pull.index, container, decision.environment)
            if not _same(inputs.current, decision.resources):
                changes = [*resource_operations(pull.index, container, decision.resources), *changes]
            if not changes and pull.name in earlier:
                continue
            operations += changes
            decided[pull.index] = decision.resources
        notes[pull.name] = entry(inputs.current, decision, digest)

    def verdict(outcome: Outcome, operations: Sequence[Operation] = (), unsafe: UnsafePatch | None = None) -> Verdict:
        return Verdict(outcome, operations, tuple(sizings), problems, mode, unsafe, unknown)

    if mode != "Auto":
        return verdict("recommended")
    if not notes:
        return verdict("unchanged")
    for index in decided:
        operations += token_mount_operations(index, spec, spec["initContainers"][index])
    # What an earlier call noted of the pod's other pulls stays; anything else is not ours to pass on.
    others = {pull.name for pull in question.pulls} - notes.keys()
    kept = {name: item for name, item in earlier.items() if name in others}
    operations += annotation_operations(pod.get("metadata") or {}, render({**notes, **kept}))
    try:
        check(pod, operations, decided)
    except UnsafePatch as error:
        return verdict("unsafe_patch", unsafe=error)
    return verdict("left_alone" if left_alone and not decided else "sized", operations)


def _inputs(question: Question, pull: PullContainer, resources: PodResources, caches: Caches) -> Inputs:
    return Inputs(
        container=pull,
        knowledge=tuple(_knowledge(question, source, caches) for source in pull.sources),
        policy=caches.policy,
        current=resources.inits[pull.index][0],
        overrides=question.overrides,
        limit_ranger=set_by_limit_ranger((question.pod.get("metadata") or {}).get("annotations"), pull.name),
        headroom=resources.headroom(pull.index),
        qos=resources.qos(),
        beside=resources.beside(pull.index),
        pod_level=resources.whole,
        limits=caches.limits(question.namespace),
        kserve=caches.kserve,
        quota=caches.quota(question.namespace).hard,
        node_disk=caches.node_disk,
        node_memory=caches.node_memory,
    )


def _knowledge(question: Question, source: Source, caches: Caches) -> Knowledge | None:
    found = caches.knowledge(question.namespace, source_key(source), question.service)
    if found is None and not source.measurable:
        return Failure("UnsupportedSource", f"{source.scheme}:// is not measured")
    return found


def _digest(inputs: Inputs, policy_digest: str) -> str:
    """Names what a decision was made from, but for the container's own resources, which the decision changes."""
    pull, limits = inputs.container, inputs.limits
    text = repr(
        (
            __version__,
            pull.sources,
            inputs.knowledge,
            policy_digest,
            inputs.overrides,
            inputs.headroom,
            inputs.qos == "Guaranteed",
            inputs.beside,
            inputs.pod_level,
            limits.min,
            limits.max,
            limits.pod_max,
            limits.ratio,
            limits.default,
            pull.image,
            pull.medium,
            inputs.quota,
            inputs.node_disk,
            inputs.node_memory,
        )
    )
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _same(current: Resources, decided: Resources) -> bool:
    return all(current.requests.get(name) == amount for name, amount in decided.requests.items()) and all(
        current.limits.get(name) == amount for name, amount in decided.limits.items()
    )
