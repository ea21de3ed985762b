"""Keeps the ModelPulls: one for each thing that a service pulls, with what is known of it and what it should get."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from pullsizer.cluster import KubeApi
from pullsizer.controller import objects, telling
from pullsizer.controller.events import Note
from pullsizer.controller.inventory import Inventory, ServiceKey
from pullsizer.controller.measuring import Measuring
from pullsizer.controller.metrics import MODEL_PULLS, OUTCOMES
from pullsizer.controller.nodes import Largest
from pullsizer.controller.outcomes import Outcome
from pullsizer.controller.questions import Waiter
from pullsizer.controller.status import Surroundings, recommend, status_of
from pullsizer.controller.work import WorkQueue
from pullsizer.errors import ClusterError, NotFound
from pullsizer.modelpull import Measurement, ModelPull, measurements
from pullsizer.names import API_VERSION, FIELD_MANAGER, KIND
from pullsizer.overrides import parse_overrides
from pullsizer.places import Places
from pullsizer.pod import Resources
from pullsizer.policy import Policy

log = logging.getLogger(__name__)

Object = dict[str, Any]

WRITES: Final = 32
"""ModelPulls written at once: 200 new ones take two writes each, of 5 to 10 ms."""
PATIENCE: Final = 1.5
"""Seconds without an answer after which the ModelPull says that it is being measured."""
_GOING: Final = 30.0
"""Seconds until a namespace that is being deleted is looked at again."""
GRACE: Final = 60.0
"""Seconds that a ModelPull outlives the last that pulls so: pods come and go, and what was learnt is in it."""


class InForce(Protocol):
    """The policy in force, and what the nodes can give."""

    @property
    def policy(self) -> Policy: ...

    @property
    def nodes(self) -> Largest: ...


class Keeper:
    """Told of every change by its methods, which take no time; writes from a queue.

    :param tell: posts an Event
    """

    def __init__(
        self,
        api: KubeApi,
        inventory: Inventory,
        measuring: Measuring,
        in_force: InForce,
        places: Places,
        *,
        tell: Callable[[Note], None],
        grace: float = GRACE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._inventory = inventory
        self._measuring = measuring
        self._in_force = in_force
        self._places = places
        self._tell = tell
        self._grace = grace
        self._clock = clock
        self._desired: dict[Waiter, ModelPull] = {}
        self._of_service: dict[ServiceKey, set[Waiter]] = defaultdict(set)
        self._existing: dict[Waiter, Object] = {}
        self._existing_of: dict[ServiceKey, set[Waiter]] = defaultdict(set)
        self._since: dict[Waiter, float] = {}
        self.queue: WorkQueue[Waiter] = WorkQueue(
            "modelpulls", self._sync, workers=WRITES, tenant=lambda waiter: waiter.namespace
        )

    # -- what is told to it --------------------------------------------------------------------------------------------

    def put_model_pull(self, item: Object) -> None:
        """A ModelPull as it is. One that somebody else changed is put right."""
        key = objects.waiter_of(item)
        before = self._existing.get(key)
        if before is not None and objects.version(item) < objects.version(before):
            return  # news of a write of ours that is not the last one
        self._exists(key, item)
        if before is None:
            for source, measurement in measurements(item):
                self._seed(item, source, measurement)
        if key in self._desired and (before is None or not objects.same(before, item)):
            self.queue.add(key)

    def remove_model_pull(self, item: Object) -> None:
        """Somebody deleted it; if it is needed, it is made again."""
        key = objects.waiter_of(item)
        if self._existing.pop(key, None) is not None and (service := objects.service_key(item)):
            self._existing_of[service].discard(key)
        if key in self._desired:
            self.queue.add(key)

    def service_changed(self, key: ServiceKey) -> None:
        """What the service, or one of its pods, pulls may be something else now."""
        wanted = {Waiter(pull.namespace, pull.name): pull for pull in self._inventory.wanted(key)}
        for waiter, pull in wanted.items():
            if waiter not in self._desired:
                self._since[waiter] = self._clock()
            self._desired[waiter] = pull
            self._measuring.want(waiter, pull.sources, pull.account)
            self.queue.add(waiter)
        for waiter in (self._of_service[key] | self._existing_of[key]) - wanted.keys():
            self._desired.pop(waiter, None)
            self._since.pop(waiter, None)
            self.queue.add(waiter, after=self._grace)
        if wanted:
            self._of_service[key] = set(wanted)
        else:
            self._of_service.pop(key, None)
        MODEL_PULLS.set(len(self._desired))

    def answered(self, waiter: Waiter) -> None:
        self.queue.add(waiter)

    def namespace_changed(self, namespace: str) -> None:
        """Its annotations, or its LimitRanges. Not its quotas: what they leave changes with every pod."""
        for waiter in self._desired:
            if waiter.namespace == namespace:
                self.queue.add(waiter)

    def everything_changed(self) -> None:
        """Another policy, other nodes: every recommendation may be another one."""
        for waiter in self._desired:
            self.queue.add(waiter)

    # -- what it does --------------------------------------------------------------------------------------------------

    async def _sync(self, waiter: Waiter) -> None:
        pull, existing = self._desired.get(waiter), self._existing.get(waiter)
        if pull is None:
            self._measuring.forget(waiter)
            if existing is not None:
                await self._delete(waiter, existing)
            return
        wanted = pull.to_object()
        if existing is None or not objects.applied(existing, wanted):
            try:
                existing = await self._api.apply(objects.path(waiter), wanted, field_manager=FIELD_MANAGER)
            except ClusterError as error:
                if not objects.going(error):
                    raise
                self.queue.add(waiter, after=_GOING)  # by then its service is gone, mostly
                return
            self._exists(waiter, existing)
        await self._write_status(waiter, pull, existing)

    async def _delete(self, waiter: Waiter, existing: Object) -> None:
        log.info("deleting modelpull namespace=%s name=%s", waiter.namespace, waiter.name)
        try:
            await self._api.delete(objects.path(waiter), uid=existing["metadata"]["uid"])
        except NotFound:
            log.debug("modelpull was gone namespace=%s name=%s", waiter.namespace, waiter.name)

    async def _write_status(self, waiter: Waiter, pull: ModelPull, existing: Object) -> None:
        answers = [self._measuring.answer(pull.namespace, source, pull.account) for source in pull.sources]
        previous = existing.get("status") or {}
        if None in answers:
            left = self._since.get(waiter, 0) + PATIENCE - self._clock()
            if left > 0:
                self.queue.add(waiter, after=left)
                return
        key = ServiceKey(pull.namespace, pull.service.kind, pull.service.name)
        service = self._inventory.services.get(key)
        asked, _ = parse_overrides(service.annotations if service else None)
        observed = self._observed(key, pull)
        policy, places, namespace = self._in_force.policy, self._places, pull.namespace
        around = Surroundings(
            policy=policy,
            overrides=asked.over(places.overrides(namespace)),
            limits=places.limits(namespace),
            quota=places.quota(namespace).hard,
            nodes=self._in_force.nodes,
            image=self._inventory.kserve.image,
        )
        decision = recommend(pull.sources, answers, around)
        status = status_of(
            sources=pull.sources,
            answers=answers,
            decision=decision,
            observed=observed,
            previous=previous,
            generation=existing["metadata"]["generation"],
            endpoint=policy.sources.hugging_face.endpoint,
            now=self._clock(),
            held=self._measuring.held(waiter),
        )
        if status == previous:
            return
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": waiter.name, "namespace": waiter.namespace},
            "status": status,
        }
        try:
            written = await self._api.apply(
                objects.path(waiter), body, field_manager=FIELD_MANAGER, subresource="status"
            )
        except NotFound:
            self._existing.pop(waiter, None)  # deleted just now: make it again
            self.queue.add(waiter)
            return
        self._exists(waiter, written)
        self._count(previous, observed)
        if service is not None:
            short = tuple(places.quota(namespace).shortfalls(decision.resources or Resources()))
            for note in telling.of_status(service, pull, previous, status, short):
                self._tell(note)

    def _observed(self, key: ServiceKey, pull: ModelPull) -> list[Outcome]:
        mine = set(pull.sources)
        return [
            outcome
            for pod in self._inventory.pods_of(key)
            if pod.component == pull.component
            for found in pod.pulls
            if set(found.sources) == mine
            for outcome in found.outcomes
        ]

    def _count(self, previous: Mapping[str, Any], observed: list[Outcome]) -> None:
        told = {item.get("id") for item in previous.get("history") or ()}
        for outcome in {item.id: item for item in observed}.values():
            if outcome.id not in told:
                OUTCOMES.labels(outcome.result).inc()

    def _exists(self, waiter: Waiter, item: Object) -> None:
        item["metadata"].pop("managedFields", None)
        self._existing[waiter] = item
        service = objects.service_key(item)
        if service is not None:
            self._existing_of[service].add(waiter)

    def _seed(self, item: Object, source: str, measurement: Measurement) -> None:
        endpoint = (item.get("status") or {}).get("endpoint")
        if endpoint == self._in_force.policy.sources.hugging_face.endpoint:
            self._measuring.seed(item["metadata"]["namespace"], source, measurement)
