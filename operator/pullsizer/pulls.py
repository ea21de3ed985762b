"""Where KServe pulls models: the containers of a pod that do, and what a service's spec says that its pods will pull.

A pod's container arguments are the truth, on every path by which KServe makes one (pairs of URI and folder). A
service's spec is only a hint, for measuring early.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pullsizer.account import NOBODY, Account, account_of_spec, storage_of
from pullsizer.kserve import KServe
from pullsizer.model import Source, Store, parse_patterns
from pullsizer.names import (
    INFERENCE_SERVICE,
    ISVC_COMPONENT_LABEL,
    ISVC_LABEL,
    LLM_COMPONENT_LABEL,
    LLM_INFERENCE_SERVICE,
    LLM_NAME_LABEL,
    LLM_PART_OF,
    LLM_PART_OF_LABEL,
    STORAGE_INITIALIZER,
    ServiceKind,
)
from pullsizer.pod import Medium, is_sidecar, medium_of

Json = Mapping[str, Any]

_ENDPOINTS: Final[Mapping[Store, tuple[str, ...]]] = {
    # Variables by which the downloader's own clients are sent elsewhere, the first that is set.
    "hf": ("HF_ENDPOINT",),
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "gs": ("STORAGE_EMULATOR_HOST",),
    "modelscope": ("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"),
}
_ALLOW: Final = "STORAGE_ALLOW_PATTERNS"
_IGNORE: Final = "STORAGE_IGNORE_PATTERNS"
TOKENIZER_FILES: Final = (
    # KServe v0.20.0, pkg/controller/v1alpha2/llmisvc/workload_storage.go, tokenizerOnlyDownload
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt", "config.json",
    "generation_config.json",
)  # fmt: skip


@dataclass(frozen=True)
class Owner:
    """The service, and its component, that a pod belongs to."""

    kind: ServiceKind
    service: str
    component: str


@dataclass(frozen=True)
class PullContainer:
    """An init container that downloads models.

    :param index: its place in `spec.initContainers`
    :param sources: what it downloads, without what is only mounted
    :param environment: its variables; those that come from elsewhere (`valueFrom`) as empty
    :param medium: what it downloads to
    """

    index: int
    name: str
    image: str
    sources: tuple[Source, ...]
    environment: Mapping[str, str]
    medium: Medium


@dataclass(frozen=True)
class PullHint:
    """What a component of a service will pull, by the service's spec.

    :param path: of a `storage:`, whose URI takes its Secret to tell; there are no sources then
    """

    component: str
    sources: tuple[Source, ...]
    account: Account = NOBODY
    path: str = ""


def owner_of(labels: Mapping[str, str] | None) -> Owner | None:
    """The service of a pod, by the labels that KServe's controllers put on it."""
    labels = labels or {}
    if service := labels.get(ISVC_LABEL):
        return Owner(INFERENCE_SERVICE, service, labels.get(ISVC_COMPONENT_LABEL, "predictor"))
    if labels.get(LLM_PART_OF_LABEL) == LLM_PART_OF and (service := labels.get(LLM_NAME_LABEL)):
        component = labels.get(LLM_COMPONENT_LABEL, "workload").removeprefix("llminferenceservice-")
        return Owner(LLM_INFERENCE_SERVICE, service, component)
    return None


def pull_containers(pod: Json, kserve: KServe) -> Iterator[PullContainer]:
    """The containers of a pod that download models: those of KServe's names, with something to download."""
    spec = pod.get("spec") or {}
    for index, container in enumerate(spec.get("initContainers") or ()):
        name = container.get("name", "")
        if name not in kserve.containers and not name.startswith(STORAGE_INITIALIZER):
            continue
        if is_sidecar(container):
            continue
        environment = {
            str(item["name"]): str(item.get("value") or "") for item in container.get("env") or () if item.get("name")
        }
        args = [str(arg) for arg in container.get("args") or ()]
        allow, ignore = parse_patterns(environment.get(_ALLOW)), parse_patterns(environment.get(_IGNORE))
        sources = (Source(uri, allow, ignore) for uri in args[::2])
        pulled = tuple(_where(source, environment) for source in sources if source.pulled)
        if pulled:
            folder = args[1] if len(args) > 1 else "/mnt/models"
            medium = medium_of(spec, container, folder)
            yield PullContainer(index, name, container.get("image", ""), pulled, environment, medium)


def _where(source: Source, environment: Mapping[str, str]) -> Source:
    """The source with the endpoint that the container's variables name."""
    names = _ENDPOINTS.get(source.store, ()) if source.store else ()
    endpoint = next((environment[name] for name in names if environment.get(name)), "")
    return replace(source, endpoint=endpoint) if endpoint else source


def pull_hints(service: Json, secret_annotation: str = "") -> tuple[PullHint, ...]:
    """What the pods of an InferenceService or LLMInferenceService will pull, as far as its own spec tells.

    :param secret_annotation: the key by which KServe lets annotations name a Secret
    """
    spec, annotations = service.get("spec") or {}, (service.get("metadata") or {}).get("annotations") or {}
    if service.get("kind") == LLM_INFERENCE_SERVICE:
        found = _llm_hints(spec, annotations, secret_annotation)
    else:
        found = (
            _component_hint(component, spec[component], annotations, secret_annotation)
            for component in ("predictor", "transformer", "explainer")
            if isinstance(spec.get(component), Mapping)
        )
    return tuple(hint for hint in found if hint.path or any(source.pulled for source in hint.sources))


def _component_hint(name: str, component: Json, annotations: Json, secret_annotation: str) -> PullHint:
    # KServe gives the pod both kinds of annotations, the component's own outweighing.
    account = account_of_spec(component, {**annotations, **(component.get("annotations") or {})}, secret_annotation)
    uris = tuple(_component_uris(component))
    storage = next((part["storage"] for part in component.values() if _has_storage(part)), None)
    if uris or storage is None:
        return PullHint(name, tuple(map(Source, uris)), account)
    return PullHint(name, (), replace(account, storage=storage_of(storage)), path=storage["path"])


def _has_storage(part: object) -> bool:
    storage = part.get("storage") if isinstance(part, Mapping) else None
    return isinstance(storage, Mapping) and bool(storage.get("path")) and isinstance(storage["path"], str)


def _component_uris(component: Json) -> Iterator[str]:
    """`storageUri` of the model or of a framework's own key, `storageUris`, or a custom container's STORAGE_URI."""
    for part in component.values():
        if isinstance(part, Mapping) and isinstance(part.get("storageUri"), str):
            yield part["storageUri"]
    for item in component.get("storageUris") or ():
        if isinstance(item, Mapping) and isinstance(item.get("uri"), str):
            yield item["uri"]
    for container in component.get("containers") or ():
        for item in container.get("env") or ():
            if item.get("name") == "STORAGE_URI" and isinstance(item.get("value"), str):
                yield item["value"]


def _llm_hints(spec: Json, annotations: Json, secret_annotation: str) -> Iterator[PullHint]:
    model = spec.get("model") or {}
    uri = model.get("uri")
    if not isinstance(uri, str) or (spec.get("storageInitializer") or {}).get("enabled") is False:
        return
    adapters = (model.get("lora") or {}).get("adapters") or ()
    uris = [uri, *(item["uri"] for item in adapters if isinstance(item.get("uri"), str))]
    sources = tuple(source for source in map(Source, uris) if source.pulled)

    def account(part: Json) -> Account:
        return account_of_spec(part.get("template"), annotations, secret_annotation)

    yield PullHint("workload", sources, account(spec))
    if spec.get("prefill"):
        yield PullHint("workload-prefill", sources, account(spec["prefill"]))
    if "scheduler" in (spec.get("router") or {}):
        tokenizer = Source(uri, allow=TOKENIZER_FILES)
        yield PullHint("router-scheduler", (tokenizer,), account(spec["router"]["scheduler"] or {}))
