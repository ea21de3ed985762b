"""The controller as one object: what it holds, what it watches, and how what is seen reaches who cares."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from pullsizer.cluster import KubeApi, Reflector
from pullsizer.controller import serving, telling
from pullsizer.controller.credentials import Credentials
from pullsizer.controller.events import Recorder
from pullsizer.controller.inventory import Inventory, PullPod, ServiceKey, read_service
from pullsizer.controller.keeper import Keeper
from pullsizer.controller.measuring import Measuring
from pullsizer.controller.metrics import SERVICES
from pullsizer.controller.policy import PolicyKeeper
from pullsizer.controller.questions import Asks, Waiter
from pullsizer.controller.serving import Certificates
from pullsizer.controller.storage_specs import StorageSpecs
from pullsizer.controller.surviving import Survives
from pullsizer.kserve import kserve_configuration
from pullsizer.names import (
    ACCEPTED_CONFIGMAP,
    API_VERSION,
    CA_SECRET,
    INFERENCE_SERVICE,
    ISVC_LABEL,
    KSERVE_CONFIGMAP,
    KSERVE_GROUP,
    LEAF_SECRET,
    LLM_INFERENCE_SERVICE,
    LLM_PART_OF,
    LLM_PART_OF_LABEL,
    PLURAL,
    POLICY_CONFIGMAP,
    WEBHOOK_CONFIGURATION,
)
from pullsizer.places import Places
from pullsizer.settings import ControllerSettings

log = logging.getLogger(__name__)

Json = Mapping[str, Any]
Take = Callable[[dict[str, Any]], None]


class Controller:
    """Works while it holds the Lease. Services come from kopf, by `service_seen` and `service_gone`."""

    def __init__(self, api: KubeApi, measurer: Asks, settings: ControllerSettings, identity: str) -> None:
        self._settings = settings
        self._api = api
        self._inventory = Inventory()
        self._recorder = Recorder(api, identity)
        self._policy = PolicyKeeper(api, settings.namespace, tell=self._recorder.tell, changed=self._policy_changed)
        self._credentials = Credentials(api, lambda: self._inventory.kserve.credentials, settings.kserve_namespace)
        self._measuring = Measuring(
            measurer,
            concurrency=settings.measure_concurrency,
            find=self._credentials.find,
            answered=self._answered,
        )
        self._places = Places()
        self._keeper = Keeper(
            api, self._inventory, self._measuring, self._policy, self._places, tell=self._recorder.tell
        )
        self._storage_specs = StorageSpecs(
            self._inventory, self._credentials.storage_uri, lambda: self._policy.policy, self._changed
        )
        self._certificates = Certificates(api, settings.namespace, settings.webhook_hosts)
        self._kserve_configmap: Json | None = None
        self._storage_containers: dict[str, Json] = {}
        self._reflectors = self._watches()
        self._ready = asyncio.Event()

    # -- running -------------------------------------------------------------------------------------------------------

    def waiting(self) -> list[str]:
        """What it has not seen yet."""
        return [reflector.name for reflector in self._reflectors if not reflector.synced.is_set()]

    async def wait_ready(self) -> None:
        """Until all but the services is known: with the first service its pods and its ModelPulls must be."""
        await self._ready.wait()

    async def run(self) -> None:
        """Forever, until cancelled.

        :raises ClusterError: the accepted policy could not be read; better no controller than one of another mind
        """
        await self._policy.load()
        self._measuring.set_policy(self._policy.policy)
        async with asyncio.TaskGroup() as group:
            for name, work in self._work():
                group.create_task(work, name=name)
            for reflector in self._reflectors:
                group.create_task(reflector.run(), name=reflector.name)
            for reflector in self._reflectors:
                await reflector.synced.wait()
            self._certificates.begin()
            self._ready.set()
            log.info("controller ready namespace=%s", self._settings.namespace)

    def _work(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        return [
            ("modelpulls", self._keeper.queue.run()),
            ("measuring", self._measuring.run()),
            ("storage-specs", self._storage_specs.queue.run()),
            ("policy", self._policy.queue.run()),
            ("nodes", self._policy.watch_nodes()),
            ("certificates", self._certificates.queue.run()),
            ("events", self._recorder.run()),
        ]

    # -- services ------------------------------------------------------------------------------------------------------

    def service_seen(self, item: Json) -> None:
        """A service is new, or changed. Never raises: what cannot be read is logged and counted."""
        with Survives(item):
            service = read_service(item, self._inventory.kserve)
            if service is None:
                return
            known = self._inventory.services.get(service.key)
            if known == service:
                return  # its status, mostly: KServe writes that often
            self._inventory.put_service(service)
            self._count_services()
            self._keeper.service_changed(service.key)
            self._storage_specs.service_seen(service.key)
            for note in telling.of_service(service):
                self._recorder.tell(note)
            if known is None:
                for pod in self._inventory.pods_of(service.key):
                    self._tell_of(pod)

    def service_gone(self, item: Json) -> None:
        """Never raises, either."""
        with Survives(item):
            service = read_service(item, self._inventory.kserve)
            if service is not None and self._inventory.remove_service(service.key, service.ref.uid):
                self._count_services()
                self._keeper.service_changed(service.key)

    def _count_services(self) -> None:
        for kind in (INFERENCE_SERVICE, LLM_INFERENCE_SERVICE):
            SERVICES.labels(kind).set(self._inventory.kinds[kind])

    # -- what reflectors see -------------------------------------------------------------------------------------------

    def _put_pod(self, item: Json) -> None:
        before = self._inventory.pod(item)
        pod = self._inventory.put_pod(item)
        if pod == before:
            return
        for key in {found.service for found in (before, pod) if found is not None}:
            self._changed(key)
        if pod is not None:
            self._tell_of(pod)

    def _remove_pod(self, item: Json) -> None:
        pod = self._inventory.remove_pod(item)
        if pod is not None:
            self._changed(pod.service)

    def _changed(self, key: ServiceKey) -> None:
        if key in self._inventory.services:
            self._keeper.service_changed(key)

    def _tell_of(self, pod: PullPod) -> None:
        service = self._inventory.services.get(pod.service)
        if service is not None:
            for note in telling.of_pod(service, pod, time.time()):
                self._recorder.tell(note)

    def _answered(self, waiter: Waiter) -> None:
        self._keeper.answered(waiter)

    def _policy_changed(self) -> None:
        self._measuring.set_policy(self._policy.policy)
        self._storage_specs.policy_changed()
        self._keeper.everything_changed()

    def _of_place(self, take: Callable[[Json], None]) -> Take:
        """Something holds in a namespace from now on, or no more."""

        def changed(item: Json) -> None:
            metadata = item["metadata"]
            namespace = metadata.get("namespace") or metadata["name"]
            before = self._places.limits(namespace), self._places.overrides(namespace)
            take(item)
            if before != (self._places.limits(namespace), self._places.overrides(namespace)):
                self._keeper.namespace_changed(namespace)

        return changed

    def _put_kserve(self, item: Json | None) -> None:
        self._kserve_configmap = item
        self._read_kserve()

    def _put_storage_container(self, item: Json) -> None:
        self._storage_containers[item["metadata"]["name"]] = item
        self._read_kserve()

    def _remove_storage_container(self, item: Json) -> None:
        self._storage_containers.pop(item["metadata"]["name"], None)
        self._read_kserve()

    def _read_kserve(self) -> None:
        kserve = kserve_configuration(self._kserve_configmap, self._storage_containers.values())
        for key in self._inventory.set_kserve(kserve):
            self._changed(key)

    def _watches(self) -> list[Reflector]:
        def watch(
            name: str, path: str, put: Take, remove: Take, *, labels: str = "", only: str = "", optional: bool = False
        ) -> Reflector:
            fields = f"metadata.name={only}" if only else ""
            return Reflector(
                self._api,
                path,
                name=name,
                label_selector=labels,
                field_selector=fields,
                on_change=put,
                on_delete=remove,
                optional=optional,
            )

        core = f"/api/v1/namespaces/{self._settings.namespace}"
        policy, keeper, certificates = self._policy, self._keeper, self._certificates
        places = self._places
        pods = functools.partial(watch, path="/api/v1/pods", put=self._put_pod, remove=self._remove_pod)
        configmaps = functools.partial(watch, path=f"{core}/configmaps")
        secrets = functools.partial(
            watch, path=f"{core}/secrets", put=certificates.put_secret, remove=certificates.remove_secret
        )
        return [
            watch("modelpulls", f"/apis/{API_VERSION}/{PLURAL}", keeper.put_model_pull, keeper.remove_model_pull),
            pods("pods-isvc", labels=ISVC_LABEL),
            pods("pods-llmisvc", labels=f"{LLM_PART_OF_LABEL}={LLM_PART_OF}"),
            configmaps("policy", put=policy.put_config, remove=policy.remove_config, only=POLICY_CONFIGMAP),
            configmaps(
                "accepted-policy", put=policy.put_accepted, remove=policy.remove_accepted, only=ACCEPTED_CONFIGMAP
            ),
            *(
                watch(plural, f"/api/v1/{plural}", self._of_place(put), self._of_place(remove))
                for plural, put, remove in (
                    ("limitranges", places.put_limit_range, places.remove_limit_range),
                    ("resourcequotas", places.put_resource_quota, places.remove_resource_quota),
                    ("namespaces", places.put_namespace, places.remove_namespace),
                )
            ),
            # Where we may not read them, KServe not being there yet or elsewhere, its shipped defaults are what holds.
            watch(
                "kserve-config",
                f"/api/v1/namespaces/{self._settings.kserve_namespace}/configmaps",
                self._put_kserve,
                lambda _: self._put_kserve(None),
                only=KSERVE_CONFIGMAP,
                optional=True,
            ),
            watch(
                "storage-containers",
                f"/apis/{KSERVE_GROUP}/v1alpha1/clusterstoragecontainers",
                self._put_storage_container,
                self._remove_storage_container,
                optional=True,
            ),
            secrets("ca", only=CA_SECRET),
            secrets("leaf", only=LEAF_SECRET),
            *(
                watch(
                    plural,
                    f"{serving.API}/{plural}",
                    certificates.put_configuration,
                    certificates.remove_configuration,
                    only=WEBHOOK_CONFIGURATION,
                )
                for plural in serving.KINDS.values()
            ),
        ]
