"""The pods of an InferenceService.

KServe v0.20.0: pkg/controller/v1beta1/inferenceservice/components (metadata), pkg/webhook/admission/pod/
storage_initializer_injector.go (`storageUri`, `storage`, STORAGE_URI) and reconcilers/raw (`storageUris`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pullsizer.kserve_pods.initializer import (
    MODELS,
    VOLUME,
    Configuration,
    common_parent,
    container,
    merged,
    with_hugging_face,
)
from pullsizer.kserve_pods.made import MadePod, items, pod, section, texts
from pullsizer.names import ISVC_COMPONENT_LABEL, ISVC_LABEL, STORAGE_INITIALIZER

Json = Mapping[str, Any]

COMPONENTS: Final = ("predictor", "transformer", "explainer")
_SERVING: Final = "kserve-container"
_SOURCE_URI: Final = "internal.serving.kserve.io/storage-initializer-sourceuri"
_STORAGE_SPEC: Final = "internal.serving.kserve.io/storage-spec"
_LOCAL_MODEL: Final = "internal.serving.kserve.io/localmodel"
_POD_SPEC: Final = ("serviceAccountName", "automountServiceAccountToken", "resources", "volumes")
_NO_RESOURCES: Final = "its serving container names no resources: taken to have those of KServe's shipped runtimes"
_UNKNOWN_BUCKET: Final = (
    "where its storage is, is in a Secret: name type and bucket in storage.parameters, or its size by --model"
)


def inference_service_pods(service: Json, namespace: str, config: Configuration) -> Iterator[MadePod]:
    """The pods of its components, whether they pull or not."""
    spec = section(service.get("spec"))
    for name in COMPONENTS:
        if isinstance(spec.get(name), Mapping):
            yield _component(service, namespace, name, section(spec[name]), config)


def pulling_pod(uri: str, environment: Mapping[str, str], config: Configuration) -> dict[str, Any]:
    """A pod in which a URI is pulled, whatever its scheme, and nothing else is."""
    item = container(config, [(uri, MODELS)], MODELS, VOLUME)
    item["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    spec = {"initContainers": [with_hugging_face(item)], "volumes": [{"name": VOLUME, "emptyDir": {}}]}
    return pod("pull", "", {}, {}, spec)


def _component(service: Json, namespace: str, name: str, component: Json, config: Configuration) -> MadePod:
    metadata = section(service.get("metadata"))
    full_name = f"{metadata.get('name', '')}-{name}"
    labels = {
        **texts(metadata.get("labels")),
        **texts(component.get("labels")),
        ISVC_LABEL: str(metadata.get("name", "")),
        ISVC_COMPONENT_LABEL: name,
        "app": f"isvc.{full_name}",
    }
    annotations = {
        key: value
        for key, value in {**texts(metadata.get("annotations")), **texts(component.get("annotations"))}.items()
        if key not in config.not_propagated
    }
    notes = []
    containers, assumed = _containers(component, config)
    if assumed:
        notes.append(_NO_RESOURCES)
    spec = {key: component[key] for key in _POD_SPEC if key in component}
    spec["containers"] = containers
    inits = items(component.get("initContainers"))
    uri, by_storage_spec = _uri(component)
    if by_storage_spec:
        annotations[_STORAGE_SPEC] = "true"
        if uri.startswith("storage://"):
            notes.append(_UNKNOWN_BUCKET)
    if uri:
        annotations[_SOURCE_URI] = uri
    added: list[dict[str, Any]] = []
    volumes = items(component.get("volumes"))
    # KServe adds none beside one of that name, and none where the model is in a cache on the node.
    if not any(item.get("name") == STORAGE_INITIALIZER for item in inits) and _LOCAL_MODEL not in labels:
        several = [
            (str(item.get("uri")), str(item.get("mountPath") or MODELS))
            for item in items(component.get("storageUris"))
            if item.get("uri")
        ]
        wanted = str(component.get("storageContainerName") or "")
        if several:
            added, volume = _several(several, wanted, config)
        else:
            added, volume = _one(uri, config, wanted, by_storage_spec=by_storage_spec)
        if volume and not any(item.get("name") == volume for item in volumes):
            volumes.append({"name": volume, "emptyDir": {}})
    if inits or added:
        spec["initContainers"] = [*inits, *added]
    if volumes:
        spec["volumes"] = volumes
    return MadePod(name, pod(full_name, namespace, labels, annotations, spec), tuple(notes))


def _containers(component: Json, config: Configuration) -> tuple[list[dict[str, Any]], bool]:
    """The pod's containers, and whether the serving one's resources had to be assumed."""
    own = items(component.get("containers"))
    part = next((section(value) for value in component.values() if _is_model(value)), None)
    if part is not None:
        named = section(part.get("resources"))
        resources = merged(config.serving_resources, named)
        return [{"name": _SERVING, "resources": resources}, *own], not named
    if not own:
        return [{"name": _SERVING, "resources": dict(config.serving_resources)}], True
    first, *others = own
    named = section(first.get("resources"))
    return [{**first, "resources": merged(config.serving_resources, named)}, *others], not named


def _is_model(value: object) -> bool:
    """Whether a part of a component is its model, `model` or a framework's own key."""
    keys = {"storageUri", "storage", "modelFormat", "runtime", "protocolVersion", "runtimeVersion"}
    return isinstance(value, Mapping) and bool(keys & value.keys())


def _uri(component: Json) -> tuple[str, bool]:
    """What is pulled to KServe's own folder, and whether `storage` said so."""
    for value in component.values():
        part = section(value)
        if isinstance(part.get("storageUri"), str):
            return part["storageUri"], False
        if isinstance(part.get("storage"), Mapping):
            return _storage_uri(part["storage"]), True
    for item in items(component.get("containers")):
        for variable in items(item.get("env")):
            if variable.get("name") == "STORAGE_URI" and isinstance(variable.get("value"), str):
                return variable["value"], False
    return "", False


def _storage_uri(storage: Json) -> str:
    parameters, path = section(storage.get("parameters")), str(storage.get("path") or "").lstrip("/")
    kind, bucket = str(parameters.get("type") or "s3"), str(parameters.get("bucket") or "")
    return f"{kind}://{bucket}/{path}" if bucket else f"storage://{path}"


def _one(
    uri: str, config: Configuration, wanted: str, *, by_storage_spec: bool
) -> tuple[list[dict[str, Any]], str | None]:
    """What KServe's webhook adds for one URI: the container, and its volume."""
    scheme, _, rest = uri.partition("://")
    if scheme == "oci+fetch" or (scheme == "oci" and config.oci_mode == "fetch"):
        return [container(config, [(f"oci://{rest}", MODELS)], MODELS, VOLUME)], VOLUME
    if not rest or scheme in ("pvc", "oci", "oci+native"):
        return [], None
    item = container(config, [(uri, MODELS)], MODELS, VOLUME)
    # The annotation of a storage spec has a placeholder for the scheme, which no ClusterStorageContainer supports.
    patch = None if by_storage_spec else config.storage_container(uri, wanted)
    return [with_hugging_face(merged(item, patch) if patch else item)], VOLUME


def _several(
    pairs: list[tuple[str, str]], wanted: str, config: Configuration
) -> tuple[list[dict[str, Any]], str | None]:
    """What KServe's controller adds for several URIs: one container, with the first URI's ClusterStorageContainer."""
    pulled = [(uri, path) for uri, path in pairs if not uri.startswith(("pvc://", "oci://", "oci+"))]
    if not pulled:
        return [], None
    mount = common_parent(path for _, path in pulled)
    volume = mount.strip("/").replace("/", "-") or VOLUME
    item = container(config, pulled, mount, volume)
    patch = config.storage_container(pairs[0][0], wanted)
    return [with_hugging_face(merged(item, patch) if patch else item)], volume
