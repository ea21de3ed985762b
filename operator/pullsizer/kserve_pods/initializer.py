"""KServe's downloading container: what its configuration gives it, and what is merged into it.

KServe v0.20.0: pkg/utils/storage.go, CreateInitContainerWithConfig and AddDefaultHuggingFaceEnvVars; pkg/webhook/
admission/pod/storage_initializer_injector.go, GetStorageContainerSpec.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pullsizer.kserve import INJECTED
from pullsizer.kserve_pods.made import items, section
from pullsizer.names import CPU, MEMORY, STORAGE_INITIALIZER

Json = Mapping[str, Any]

VOLUME: Final = "kserve-provision-location"
MODELS: Final = "/mnt/models"
_IMAGE: Final = "kserve/storage-initializer:v0.20.0"
_RESOURCES: Final = {"requests": {CPU: "100m", MEMORY: "100Mi"}, "limits": {CPU: "1", MEMORY: "1Gi"}}
_SERVING_RESOURCES: Final = {"requests": {CPU: "1", MEMORY: "2Gi"}, "limits": {CPU: "1", MEMORY: "2Gi"}}
"""Of KServe's shipped runtimes, all of them (config/runtimes), and of its ConfigMap's `inferenceService.resource`."""
_NOT_PROPAGATED: Final = frozenset(
    # pkg/constants/constants.go, ServiceAnnotationDisallowedList
    {
        "autoscaling.knative.dev/min-scale",
        "autoscaling.knative.dev/max-scale",
        "internal.serving.kserve.io/storage-initializer-sourceuri",
        "kubectl.kubernetes.io/last-applied-configuration",
        "modelFormat",
    }
)
_KEYS_OF_LISTS: Final = {"env": "name", "volumeMounts": "mountPath"}
"""What strategic merge patches tell the items of a container's lists apart by."""


@dataclass(frozen=True)
class Configuration:
    """What KServe's ConfigMap and ClusterStorageContainers say, as far as a pulling pod shows it.

    :param serving_resources: of a serving container whose service names none
    :param oci_mode: how a bare `oci://` is served: `fetch` alone downloads in the pod
    """

    image: str = _IMAGE
    resources: Json = field(default_factory=lambda: _RESOURCES)
    serving_resources: Json = field(default_factory=lambda: _SERVING_RESOURCES)
    oci_mode: str = "modelcar"
    not_propagated: frozenset[str] = _NOT_PROPAGATED
    storage_containers: tuple[Json, ...] = ()

    def storage_container(self, uri: str, name: str = "") -> Json | None:
        """The container that the first ClusterStorageContainer for the URI merges into KServe's own."""
        for item in self.storage_containers:
            spec = section(item.get("spec"))
            if item.get("disabled") or spec.get("workloadType", "initContainer") != "initContainer":
                continue
            if name and section(item.get("metadata")).get("name") != name:
                continue
            if any(_supports(form, uri) for form in items(spec.get("supportedUriFormats"))):
                return section(spec.get("container"))
        return None


def configuration(configmap: Json | None, storage_containers: Iterable[Json]) -> Configuration:
    """From ConfigMap `inferenceservice-config` and the ClusterStorageContainers. What cannot be read is left out."""
    data = section(section(configmap).get("data"))
    block, service = _block(data, "storageInitializer"), _block(data, "inferenceService")
    own = _sides(block)
    serving = _sides(section(service.get("resource")))
    disallowed = service.get("serviceAnnotationDisallowedList")
    return Configuration(
        image=str(block.get("image") or _IMAGE),
        resources={side: {**_RESOURCES[side], **own[side]} for side in _RESOURCES},
        serving_resources=serving if any(serving.values()) else _SERVING_RESOURCES,
        oci_mode=str(block.get("ociModelMode") or "modelcar"),
        not_propagated=_NOT_PROPAGATED | {str(key) for key in disallowed if key}
        if isinstance(disallowed, list)
        else _NOT_PROPAGATED,
        storage_containers=tuple(storage_containers),
    )


def _block(data: Json, key: str) -> dict[str, Any]:
    try:
        return section(json.loads(data.get(key) or "{}"))
    except (ValueError, TypeError, RecursionError):
        return {}


def _sides(block: Json) -> dict[str, dict[str, str]]:
    """KServe writes them as `memoryLimit`, `cpuRequest`, …."""
    return {
        f"{side.lower()}s": {name: str(block[f"{name}{side}"]) for name in (CPU, MEMORY) if block.get(f"{name}{side}")}
        for side in ("Request", "Limit")
    }


def _supports(form: Json, uri: str) -> bool:
    prefix, regex = form.get("prefix"), form.get("regex")
    if prefix:
        return uri.startswith(str(prefix))
    try:
        return bool(regex) and re.match(str(regex), uri) is not None
    except re.error:  # Go knows other expressions
        return False


def container(config: Configuration, pairs: Iterable[tuple[str, str]], mount: str, volume: str) -> dict[str, Any]:
    """The container for pairs of URI and folder."""
    return {
        "name": STORAGE_INITIALIZER,
        "image": config.image,
        "args": [part for pair in pairs for part in pair],
        "resources": {side: dict(amounts) for side, amounts in config.resources.items()},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": volume, "mountPath": mount}],
    }


def merged(base: Json, patch: Json) -> dict[str, Any]:
    """A container with another merged into it, as strategic merge patches do it."""
    result = dict(base)
    for key, value in patch.items():
        if key in _KEYS_OF_LISTS:
            name = _KEYS_OF_LISTS[key]
            ours = {item.get(name): item for item in (*items(result.get(key)), *items(value))}
            result[key] = list(ours.values())
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def with_hugging_face(item: Json) -> dict[str, Any]:
    """With the variables that KServe adds where nobody set them."""
    given = items(item.get("env"))
    names = {one.get("name") for one in given}
    more = [{"name": name, "value": value} for name, value in INJECTED.items() if name not in names]
    return {**item, "env": [*given, *more]}


def common_parent(paths: Iterable[str]) -> str:
    """The folder that all paths are in; KServe mounts one volume there."""
    split = [path.strip("/").split("/") for path in paths]
    common = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/" + "/".join(common)
