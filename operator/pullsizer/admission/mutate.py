"""One pod's way through admission: find the pulls, gather what is known, decide, patch."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from prometheus_client import Counter

from pullsizer import __version__
from pullsizer.admission import metrics
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
from pullsizer.admission.remembered import Answer, Remembered, pod_of
from pullsizer.admission.review import Request
from pullsizer.admission.waiting import Waiters
from pullsizer.model import Failure, Knowledge, Source
from pullsizer.modelpull import source_key
from pullsizer.names import LLM_INFERENCE_SERVICE, SIZING
from pullsizer.overrides import Overrides, parse_overrides
from pullsizer.pod import PodResources, Resources, pod_resources, set_by_limit_ranger
from pullsizer.pulls import Owner, PullContainer, owner_of, pull_containers
from pullsizer.sizing import Inputs, decide

Json = Mapping[str, Any]

_log = logging.getLogger(__name__)
_SIZED_OF: Final = {basis: metrics.SIZED_BY.labels(basis) for basis in ("annotation", "tier", "model", "default")}
_OUTCOME: Final = {
    name: metrics.PODS.labels(name)
    for name in (
        "sized",
        "unchanged",
        "recommended",
        "disabled",
        "not_selected",
        "nothing_to_pull",
        "left_alone",
        "unsafe_patch",
        "failed_open",
    )
}


class Mutator:
    """Answers for pods, from the caches."""

    def __init__(self, caches: Caches, waiters: Waiters) -> None:
        self._caches = caches
        self._waiters = waiters
        self._remembered = Remembered(caches)
        caches.on_knowledge.append(waiters.notify)

    async def operations(self, request: Request) -> Sequence[Operation]:
        """The patch for the pod of a request; empty where it is to stay as it is."""
        pod = pod_of(request)
        answer = self._remembered.get(pod)
        if answer is None:
            answer = await self._answer(request)
            if answer.lasting:
                self._remembered.put(pod, answer)
        for counter in answer.counts:
            counter.inc()
        return answer.for_pod(pod)

    async def _answer(self, request: Request, *, patient: bool = True) -> Answer:
        pod, caches = request.object, self._caches
        pulls = list(pull_containers(pod, caches.kserve))
        if not pulls:
            return _unchanged("nothing_to_pull")
        metadata = pod.get("metadata") or {}
        labels = metadata.get("labels") or {}
        if caches.policy.mode == "Disabled":
            return _unchanged("disabled")
        if not caches.policy.selects(request.namespace, labels):
            return _unchanged("not_selected")
        asked, problems = parse_overrides(metadata.get("annotations"))
        counts = [metrics.INVALID_ANNOTATIONS] * len(problems)
        owner = owner_of(labels)
        overrides = self._overrides(request, asked, owner)
        if (overrides.mode or caches.policy.mode) == "Disabled":
            return _unchanged("disabled", counts)
        known = self._known(request, pulls, owner, overrides)
        if not known and patient and self._may_wait(request, metadata):
            before = caches.policy, caches.kserve
            known = await self._wait(request, pulls, owner, overrides)
            if (caches.policy, caches.kserve) != before:
                # By what is in force now, which may leave the pod alone; it has waited enough.
                return await self._answer(request, patient=False)
            overrides = self._overrides(request, asked, owner)
        outcome, operations = self._sized(request, pulls, overrides, counts)
        return Answer(operations, (*counts, _OUTCOME[outcome]), lasting=known)

    def _sized(
        self, request: Request, pulls: list[PullContainer], overrides: Overrides, counts: list[Counter]
    ) -> tuple[str, list[Operation]]:
        pod = request.object
        spec = pod["spec"]
        notes: dict[str, Any] = {}
        operations: list[Operation] = []
        decided: dict[int, Resources] = {}
        left_alone = False
        all_resources = pod_resources(spec)
        for pull in pulls:
            container = spec["initContainers"][pull.index]
            inputs = self._inputs(request.namespace, pod, pull, all_resources, overrides)
            digest = self._digest(inputs)
            if already_sized(pod, pull.name, container, digest):
                continue
            decision = decide(inputs)
            counts.append(_SIZED_OF[decision.basis])
            if decision.resources is None:
                left_alone = True
            else:
                changes = environment_operations(pull.index, container, decision.environment)
                if not _same(inputs.current, decision.resources):
                    changes = [*resource_operations(pull.index, container, decision.resources), *changes]
                if not changes and pull.name in read(pod):
                    continue
                operations += changes
                decided[pull.index] = decision.resources
            notes[pull.name] = entry(inputs.current, decision, digest)
        if (overrides.mode or self._caches.policy.mode) != "Auto":
            return "recommended", []
        if not notes:
            return "unchanged", []
        for index in decided:
            operations += token_mount_operations(index, spec, spec["initContainers"][index])
        # What an earlier call noted of the pod's other pulls stays; anything else is not ours to pass on.
        others = {pull.name for pull in pulls} - notes.keys()
        earlier = {name: item for name, item in read(pod).items() if name in others}
        operations += annotation_operations(pod.get("metadata") or {}, render({**notes, **earlier}))
        try:
            check(pod, operations, decided)
        except UnsafePatch:
            _log.exception("patch not sent", extra={"namespace": request.namespace})
            return "unsafe_patch", []
        return ("left_alone" if left_alone and not decided else "sized"), operations

    def _overrides(self, request: Request, asked: Overrides, owner: Owner | None) -> Overrides:
        """What the pod asks for, its service and its namespace: the nearer word counts."""
        caches = self._caches
        general = caches.namespace_overrides(request.namespace)
        if owner is not None and owner.kind == LLM_INFERENCE_SERVICE:
            service = caches.service_overrides((request.namespace, owner.kind, owner.service))
            general = service.over(general) if service else general
        return asked.over(general) if general else asked

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _known(self, request: Request, pulls: list[PullContainer], owner: Owner | None, overrides: Overrides) -> bool:
        """Whether there is an answer, positive or negative, on all that a decision asks for."""
        namespace, caches = request.namespace, self._caches
        if owner is not None and owner.kind == LLM_INFERENCE_SERVICE:
            # its overrides come with its ModelPull
            sources_in_sight = any(source.measurable for pull in pulls for source in pull.sources)
            if sources_in_sight and not caches.knows_service((namespace, owner.kind, owner.service)):
                return False
        if overrides.model_size is not None:
            return True
        return all(
            caches.knowledge(namespace, source_key(source)) is not None
            for pull in pulls
            for source in pull.sources
            if source.measurable
        )

    def _may_wait(self, request: Request, metadata: Json) -> bool:
        return (
            not request.dry_run
            and self._caches.policy.wait_for_size > 0
            and SIZING not in (metadata.get("annotations") or {})  # the second call, after ours
            and self._caches.controller_alive()
            and not self._waiters.breaker(request.namespace).open
        )

    async def _wait(
        self, request: Request, pulls: list[PullContainer], owner: Owner | None, overrides: Overrides
    ) -> bool:
        """Whether the answer came."""
        begin = time.perf_counter()
        with metrics.WAITING.track_inprogress():
            answered = await self._waiters.until(
                request.namespace,
                lambda: self._known(request, pulls, owner, overrides),
                self._caches.policy.wait_for_size,
            )
        metrics.WAIT_SECONDS.labels("yes" if answered else "no").observe(time.perf_counter() - begin)
        metrics.BREAKER_OPEN.set(self._waiters.open)
        return answered

    # -- inputs -------------------------------------------------------------------------------------------------------

    def _inputs(
        self, namespace: str, pod: Json, pull: PullContainer, resources: PodResources, overrides: Overrides
    ) -> Inputs:
        caches = self._caches
        return Inputs(
            container=pull,
            knowledge=tuple(self._knowledge(namespace, source) for source in pull.sources),
            policy=caches.policy,
            current=resources.inits[pull.index][0],
            overrides=overrides,
            limit_ranger=set_by_limit_ranger((pod.get("metadata") or {}).get("annotations"), pull.name),
            headroom=resources.headroom(pull.index),
            qos=resources.qos(),
            beside=resources.beside(pull.index),
            pod_level=resources.whole,
            limits=caches.limits(namespace),
            kserve=caches.kserve,
            node_disk=caches.node_disk,
        )

    def _knowledge(self, namespace: str, source: Source) -> Knowledge | None:
        found = self._caches.knowledge(namespace, source_key(source))
        if found is None and not source.measurable:
            return Failure("UnsupportedSource", f"{source.scheme}:// is not measured")
        return found

    def _digest(self, inputs: Inputs) -> str:
        """Names what a decision was made from, but for the container's own resources, which the decision changes."""
        pull, limits = inputs.container, inputs.limits
        text = repr(
            (
                __version__,
                pull.sources,
                inputs.knowledge,
                self._caches.policy_digest,
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
                inputs.node_disk,
            )
        )
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _unchanged(outcome: str, counts: Sequence[Counter] = ()) -> Answer:
    return Answer((), (*counts, _OUTCOME[outcome]))


def _same(current: Resources, decided: Resources) -> bool:
    return all(current.requests.get(name) == amount for name, amount in decided.requests.items()) and all(
        current.limits.get(name) == amount for name, amount in decided.limits.items()
    )


def failed_open() -> None:
    """Count a pod that was created as it was, since we could not decide."""
    _OUTCOME["failed_open"].inc()
