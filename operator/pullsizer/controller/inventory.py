"""What there is: services, and the pods that pull for them, each reduced to what matters here.

From both follows what should be: the ModelPulls of a service. A spec is only a hint (`storage:`, base configurations
and runtimes change the URI); what its pods' containers are told is the truth.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from pullsizer.account import Account, account_of_pod, storage_annotations
from pullsizer.controller.outcomes import Outcome, outcomes
from pullsizer.kserve import DEFAULT, KServe
from pullsizer.model import Source
from pullsizer.modelpull import ModelPull, ServiceRef
from pullsizer.names import INFERENCE_SERVICE, KSERVE_GROUP, LLM_INFERENCE_SERVICE, SIZING, ServiceKind
from pullsizer.overrides import KEYS
from pullsizer.pulls import PullHint, owner_of, pull_containers, pull_hints

log = logging.getLogger(__name__)

Json = Mapping[str, Any]

MOST: Final = 32
"""ModelPulls of one service. KServe makes at most eight; pods with a service's label can be made by anybody."""
MOST_SOURCES: Final = 64
"""Of one ModelPull; the CRD allows no more."""
_PULLED_BY_KUBELET: Final = "oci"
"""As a spec has it: a container image, unless KServe is told to fetch it, which the pod then shows."""


class ServiceKey(NamedTuple):
    namespace: str
    kind: ServiceKind
    name: str


@dataclass(frozen=True)
class Service:
    """An InferenceService or LLMInferenceService.

    :param annotations: those that are ours
    """

    key: ServiceKey
    ref: ServiceRef
    hints: tuple[PullHint, ...]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class Pull:
    """What one container of a pod pulls, and how that went so far."""

    container: str
    sources: tuple[Source, ...]
    account: Account
    outcomes: tuple[Outcome, ...]
    resources: Mapping[str, Any]


@dataclass(frozen=True)
class PullPod:
    """A pod that pulls.

    :param sizing: the webhook's note on it, as text
    :param created: as Kubernetes writes times
    """

    namespace: str
    name: str
    uid: str
    created: str
    service: ServiceKey
    component: str
    pulls: tuple[Pull, ...]
    sizing: str


def read_service(item: Json, kserve: KServe = DEFAULT) -> Service | None:
    """None for an object that is no service of KServe's, or is one without its identity.

    :param kserve: by which annotation a Secret is named. It is known before services are, and another one counts for
        services as they are seen again
    """
    metadata, kind = item.get("metadata") or {}, item.get("kind")
    if kind not in (INFERENCE_SERVICE, LLM_INFERENCE_SERVICE) or not metadata.get("uid"):
        return None
    api_version = str(item.get("apiVersion") or f"{KSERVE_GROUP}/v1beta1")
    annotations = metadata.get("annotations") or {}
    return Service(
        key=ServiceKey(metadata["namespace"], kind, metadata["name"]),
        ref=ServiceRef(kind, metadata["name"], metadata["uid"], api_version),
        hints=pull_hints(item, kserve.credentials.secret_annotation),
        annotations={key: str(annotations[key]) for key in sorted(KEYS.intersection(annotations))},
    )


def read_pod(item: Json, kserve: KServe) -> PullPod | None:
    """None for a pod that pulls nothing, or for nobody."""
    metadata = item["metadata"]
    owner = owner_of(metadata.get("labels"))
    if owner is None:
        return None
    inits = (item.get("spec") or {}).get("initContainers") or ()
    pulls = tuple(
        Pull(
            container=container.name,
            sources=container.sources[:MOST_SOURCES],
            account=account_of_pod(item, inits[container.index], kserve.credentials.secret_annotation),
            outcomes=outcomes(item, inits[container.index]),
            resources=inits[container.index].get("resources") or {},
        )
        for container in pull_containers(item, kserve)
    )
    if not pulls:
        return None
    return PullPod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=str(metadata.get("uid", "")),
        created=str(metadata.get("creationTimestamp", "")),
        service=ServiceKey(metadata["namespace"], owner.kind, owner.service),
        component=owner.component,
        pulls=pulls,
        sizing=str((metadata.get("annotations") or {}).get(SIZING, "")),
    )


class Inventory:
    """Services and pull pods, as last seen. Each change names the service that it is about."""

    def __init__(self) -> None:
        self.kserve: KServe = DEFAULT
        self.services: dict[ServiceKey, Service] = {}
        self.kinds: Counter[ServiceKind] = Counter()
        """How many services there are of each kind."""
        self._uris: dict[ServiceKey, dict[PullHint, str]] = defaultdict(dict)
        self._pods: dict[tuple[str, str], tuple[PullPod | None, Json]] = {}
        self._pods_of: dict[ServiceKey, dict[str, PullPod]] = defaultdict(dict)

    def put_service(self, service: Service) -> None:
        if service.key not in self.services:
            self.kinds[service.key.kind] += 1
        self.services[service.key] = service

    def remove_service(self, key: ServiceKey, uid: str) -> bool:
        """False where a service of the same name has already come after it."""
        known = self.services.get(key)
        if known is None or known.ref.uid != uid:
            return False
        del self.services[key]
        self.kinds[key.kind] -= 1
        self._uris.pop(key, None)
        return True

    def put_uri(self, key: ServiceKey, hint: PullHint, uri: str) -> bool:
        """What a `storage:` of the service means. False where that is not news."""
        service = self.services.get(key)
        if service is None or hint not in service.hints or self._uris[key].get(hint) == uri:
            return False
        self._uris[key] = {other: found for other, found in self._uris[key].items() if other in service.hints}
        self._uris[key][hint] = uri
        return True

    def pod(self, item: Json) -> PullPod | None:
        """What was last seen of a pod."""
        return self._pods.get(_identity(item), (None, {}))[0]

    def put_pod(self, item: Json) -> PullPod | None:
        """The pod, if it pulls."""
        slim = _slim(item, self.kserve)
        pod = read_pod(slim, self.kserve)
        self.remove_pod(item)
        self._pods[_identity(item)] = (pod, slim)
        if pod is not None:
            self._pods_of[pod.service][pod.name] = pod
        return pod

    def remove_pod(self, item: Json) -> PullPod | None:
        """The pod, if it was one that pulls."""
        pod, _ = self._pods.pop(_identity(item), (None, {}))
        if pod is not None:
            mine = self._pods_of[pod.service]
            mine.pop(pod.name, None)
            if not mine:
                del self._pods_of[pod.service]
        return pod

    def set_kserve(self, kserve: KServe) -> list[ServiceKey]:
        """Other containers may pull now: every pod is read anew."""
        before, self.kserve = self.kserve, kserve
        if (before.containers, before.credentials) == (kserve.containers, kserve.credentials):
            return []
        for _, slim in list(self._pods.values()):
            self.put_pod(slim)
        return list(self.services)

    def pods_of(self, key: ServiceKey) -> list[PullPod]:
        return list(self._pods_of.get(key, {}).values())

    def wanted(self, key: ServiceKey) -> list[ModelPull]:
        """The ModelPulls that a service should have."""
        service = self.services.get(key)
        if service is None:
            return []
        # Only an LLMInferenceService's: KServe copies an InferenceService's own to its pods.
        overrides = service.annotations if key.kind == LLM_INFERENCE_SERVICE else {}
        found: dict[str, ModelPull] = {}
        for component, sources, account in self._pulls(service):
            pull = ModelPull(key.namespace, service.ref, component, sources, overrides, account)
            if pull.name not in found and len(found) >= MOST:
                log.warning("too many pulls namespace=%s service=%s most=%d", key.namespace, key.name, MOST)
                break
            found[pull.name] = pull
        return list(found.values())

    def _pulls(self, service: Service) -> Iterator[tuple[str, tuple[Source, ...], Account]]:
        """The same pull may come more than once. The last is right: pods know better than a spec, the newest best."""
        uris = self._uris.get(service.key, {})
        for hint in service.hints:
            hinted = (Source(uris[hint]),) if hint in uris else hint.sources
            sources = tuple(s for s in hinted if s.pulled and s.scheme != _PULLED_BY_KUBELET)
            if sources:
                yield hint.component, sources[:MOST_SOURCES], hint.account
        named = ""
        if service.key.kind == LLM_INFERENCE_SERVICE:  # its pods do not get the annotation that names a Secret
            named = next((hint.account.secret for hint in service.hints), "")
        pods = self._pods_of.get(service.key, {}).values()
        for pod in sorted(pods, key=lambda pod: (pod.created, pod.name)):
            for pull in pod.pulls:
                yield pod.component, pull.sources, replace(pull.account, secret=named or pull.account.secret)


def _identity(item: Json) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _slim(item: Json, kserve: KServe) -> Json:
    """What `read_pod` reads of a pod, and no more: there may be thousands, of 20 KB each."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    annotations = metadata.get("annotations") or {}
    read = storage_annotations(kserve.credentials.secret_annotation) | {SIZING}
    inits = ("name", "image", "args", "env", "resources", "restartPolicy")
    return {
        "metadata": {
            **{k: metadata[k] for k in ("name", "namespace", "uid", "labels", "creationTimestamp") if k in metadata},
            "annotations": {key: annotations[key] for key in sorted(read & annotations.keys())},
        },
        "spec": {
            **{k: spec[k] for k in ("serviceAccountName", "imagePullSecrets") if k in spec},
            "initContainers": [{k: c[k] for k in inits if k in c} for c in spec.get("initContainers") or ()],
        },
        "status": {k: status[k] for k in ("reason", "initContainerStatuses") if k in status},
    }
