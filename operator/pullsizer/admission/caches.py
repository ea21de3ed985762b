"""All that admission knows, in memory: filled by watches, read without a call.

Facts are found by namespace and source, never by the name of a service alone: a namespace learns nothing of another's
models.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pullsizer.errors import InvalidPolicy, InvalidQuantity
from pullsizer.kserve import DEFAULT as KSERVE_DEFAULT
from pullsizer.kserve import KServe, kserve_configuration
from pullsizer.kserve_pods import Configuration, configuration
from pullsizer.limits import NamespaceLimits
from pullsizer.model import Knowledge, ModelFacts
from pullsizer.modelpull import ANONYMOUS, Measurement, measurements, overrides_of, service_of
from pullsizer.names import EPHEMERAL_STORAGE, MEMORY, NODE_DISK_KEY, NODE_MEMORY_KEY, POLICY_KEY
from pullsizer.overrides import NONE, Overrides, parse_overrides
from pullsizer.places import Places
from pullsizer.policy import DEFAULT, Policy, load_policy
from pullsizer.quantity import parse
from pullsizer.quota import Quota

Json = Mapping[str, Any]
Service = tuple[str, str, str]
"""Namespace, kind, name."""


@dataclass(frozen=True)
class _Pull:
    service: Service | None
    measurements: Mapping[str, Measurement]
    overrides: Overrides


def _change(method: Callable[[Caches, Json], None]) -> Callable[[Caches, Json], None]:
    """Marks what changes answers: whoever remembers one forgets it."""

    @functools.wraps(method)
    def changed(self: Caches, item: Json) -> None:
        self.generation += 1
        method(self, item)

    return changed


class Caches:
    """What the watches say, indexed for the questions of admission.

    :param clock: monotonic seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.generation = 0
        """Grows with every change that an answer may depend on. The Lease is none: it decides about waiting alone."""
        self.policy: Policy = DEFAULT
        self.policy_digest = "built-in"
        self.accepted = False
        self.node_disk: int | None = None
        self.node_memory: int | None = None
        self.kserve: KServe = KSERVE_DEFAULT
        self.kserve_pods = Configuration()
        self._kserve_configmap: Json | None = None
        self._storage_containers: dict[str, Json] = {}
        self._places = Places()
        self._pulls: dict[tuple[str, str], _Pull] = {}
        self._by_source: dict[tuple[str, str], dict[str, Measurement]] = defaultdict(dict)
        self._by_service: dict[Service, dict[str, Overrides]] = defaultdict(dict)
        self._lease: tuple[str, float, float] | None = None
        self.on_knowledge: list[Callable[[], None]] = []
        """Called whenever something became known of a model or a service."""

    # -- questions ----------------------------------------------------------------------------------------------------

    def knowledge(self, namespace: str, key: str, service: Service | None = None) -> Knowledge | None:
        """What is known of a source in a namespace: facts before failures, the asker's own first, the newest.

        :param service: the asker, which may be let in where another service of the namespace was not
        """
        best: tuple[tuple[bool, bool, float], Knowledge] | None = None
        for name, item in self._by_source.get((namespace, key), {}).items():
            facts = isinstance(item.knowledge, ModelFacts)
            mine = service is None or self._pulls[namespace, name].service == service
            rank = (facts, mine, item.measured_at)
            if (facts or mine or item.scope == ANONYMOUS) and (best is None or rank > best[0]):
                best = (rank, item.knowledge)
        return best[1] if best else None

    def knows_service(self, service: Service) -> bool:
        return service in self._by_service

    def service_overrides(self, service: Service) -> Overrides:
        """What an LLMInferenceService's own metadata asks for; it never reaches the pods."""
        found = self._by_service.get(service)
        return next((item for item in found.values() if item), NONE) if found else NONE

    def namespace_overrides(self, namespace: str) -> Overrides:
        return self._places.overrides(namespace)

    def limits(self, namespace: str) -> NamespaceLimits:
        return self._places.limits(namespace)

    def quota(self, namespace: str) -> Quota:
        return self._places.quota(namespace)

    def controller_alive(self) -> bool:
        """Whether somebody renews the Lease. Judged by when we saw it change, as clocks differ between nodes."""
        if self._lease is None:
            return False
        _, seen, duration = self._lease
        return self._clock() - seen < duration

    # -- watches ------------------------------------------------------------------------------------------------------

    @_change
    def put_model_pull(self, item: Json) -> None:
        namespace, name = _identity(item)
        self._forget_model_pull(namespace, name)
        found = service_of(item)
        overrides, _ = parse_overrides(overrides_of(item))
        pull = _Pull((namespace, *found) if found else None, dict(measurements(item)), overrides)
        self._pulls[namespace, name] = pull
        for key, measurement in pull.measurements.items():
            self._by_source[namespace, key][name] = measurement
        if pull.service:
            self._by_service[pull.service][name] = overrides
        for callback in self.on_knowledge:
            callback()

    @_change
    def remove_model_pull(self, item: Json) -> None:
        self._forget_model_pull(*_identity(item))

    def _forget_model_pull(self, namespace: str, name: str) -> None:
        pull = self._pulls.pop((namespace, name), None)
        if pull is None:
            return
        for key in pull.measurements:
            _discard(self._by_source, (namespace, key), name)
        if pull.service:
            _discard(self._by_service, pull.service, name)

    @_change
    def put_accepted(self, item: Json) -> None:
        """The accepted policy. One that this version cannot read keeps the one before: the controller is newer."""
        data = item.get("data") or {}
        text = data.get(POLICY_KEY, "")
        try:
            self.policy = load_policy(text)
        except InvalidPolicy:
            return
        self.accepted = True
        self.policy_digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.node_disk = _amount(data.get(NODE_DISK_KEY), EPHEMERAL_STORAGE)
        self.node_memory = _amount(data.get(NODE_MEMORY_KEY), MEMORY)

    @_change
    def remove_accepted(self, _: Json) -> None:
        self.policy, self.policy_digest, self.accepted = DEFAULT, "built-in", False
        self.node_disk = self.node_memory = None

    @_change
    def put_limit_range(self, item: Json) -> None:
        self._places.put_limit_range(item)

    @_change
    def remove_limit_range(self, item: Json) -> None:
        self._places.remove_limit_range(item)

    def put_resource_quota(self, item: Json) -> None:
        self._change_quota(item, self._places.put_resource_quota)

    def remove_resource_quota(self, item: Json) -> None:
        self._change_quota(item, self._places.remove_resource_quota)

    def _change_quota(self, item: Json, change: Callable[[Json], None]) -> None:
        """What is left changes with every pod, and no answer depends on it."""
        namespace = item["metadata"]["namespace"]
        before = self._places.quota(namespace).hard
        change(item)
        self.generation += self._places.quota(namespace).hard != before

    @_change
    def put_namespace(self, item: Json) -> None:
        self._places.put_namespace(item)

    @_change
    def remove_namespace(self, item: Json) -> None:
        self._places.remove_namespace(item)

    @_change
    def put_kserve_configmap(self, item: Json) -> None:
        self._kserve_configmap = item
        self._refresh_kserve()

    @_change
    def remove_kserve_configmap(self, _: Json) -> None:
        self._kserve_configmap = None
        self._refresh_kserve()

    @_change
    def put_storage_container(self, item: Json) -> None:
        self._storage_containers[item["metadata"]["name"]] = item
        self._refresh_kserve()

    @_change
    def remove_storage_container(self, item: Json) -> None:
        self._storage_containers.pop(item["metadata"]["name"], None)
        self._refresh_kserve()

    def _refresh_kserve(self) -> None:
        containers = self._storage_containers.values()
        self.kserve = kserve_configuration(self._kserve_configmap, containers)
        self.kserve_pods = configuration(self._kserve_configmap, containers)

    def put_lease(self, item: Json) -> None:
        spec = item.get("spec") or {}
        renewed = str(spec.get("renewTime", ""))
        if not spec.get("holderIdentity"):
            self._lease = None
        elif self._lease is None or self._lease[0] != renewed:
            self._lease = (renewed, self._clock(), float(spec.get("leaseDurationSeconds") or 0))

    def remove_lease(self, _: Json) -> None:
        self._lease = None


def _amount(text: str | None, resource: str) -> int | None:
    try:
        return parse(text, resource) if text else None
    except InvalidQuantity:
        return None


def _identity(item: Json) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _discard(index: dict[Any, dict[str, Any]], key: Any, name: str) -> None:
    """Take a name out of an index, and leave no empty entry behind."""
    entry = index.get(key)
    if entry is not None:
        entry.pop(name, None)
        if not entry:
            del index[key]
