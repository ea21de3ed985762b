"""The pods of an LLMInferenceService.

KServe v0.20.0: pkg/controller/v1alpha2/llmisvc, workload_single_node.go, workload_multi_node.go, workload_storage.go,
workload_lora.go and scheduler.go. No ClusterStorageContainer counts there, and only hf:// and s3:// are pulled.
"""

from __future__ import annotations

import json
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
from pullsizer.names import (
    LLM_COMPONENT_LABEL,
    LLM_NAME_LABEL,
    LLM_PART_OF,
    LLM_PART_OF_LABEL,
    STORAGE_INITIALIZER,
)
from pullsizer.pulls import TOKENIZER_FILES

Json = Mapping[str, Any]
Pairs = list[tuple[str, str]]

_PULLED: Final = ("hf://", "s3://")
_PREFIXES: Final = (
    # of annotations of the service's metadata that reach its pods (propagateDeploymentMetadata)
    "k8s.v1.cni.cncf.io", "kueue.x-k8s.io", "prometheus.io", "internal.serving.kserve.io/localmodel",
)  # fmt: skip
_LOCAL_MODEL: Final = "internal.serving.kserve.io/localmodel"
_FROM_PRESETS: Final = (
    "its containers come from KServe's presets, which are not looked at: taken to request nothing beside the pull"
)


def llm_pods(service: Json, namespace: str, config: Configuration) -> Iterator[MadePod]:
    """The pods that it runs: workers and leaders, those for prefill, and the scheduler with its tokenizer."""
    spec = section(service.get("spec"))
    pairs = _pairs(service)
    base = [pair for pair in pairs if pair[1] == MODELS]
    for suffix, workload in (("", spec), ("-prefill", spec.get("prefill"))):
        if not isinstance(workload, Mapping):
            continue
        templates = [("workload", workload.get("template"))]
        if isinstance(workload.get("worker"), Mapping):
            templates = [("workload-leader", workload.get("template")), ("workload-worker", workload["worker"])]
        for name, template in templates:
            component = f"{name}{suffix}"
            yield _pod(
                service,
                namespace,
                component,
                workload=workload,
                template=section(template),
                pairs=pairs,
                config=config,
            )
    router = section(spec.get("router"))
    if "scheduler" in router:
        scheduler = section(router["scheduler"])
        yield _pod(
            service,
            namespace,
            "router-scheduler",
            workload=scheduler,
            template=section(scheduler.get("template")),
            pairs=base,
            config=config,
            tokenizer=True,
        )


def _pairs(service: Json) -> Pairs:
    """What is pulled, and to where: the model, and adapters beside it."""
    spec = section(service.get("spec"))
    model = section(spec.get("model"))
    if section(spec.get("storageInitializer")).get("enabled") is False:
        return []
    pairs = []
    cached = _LOCAL_MODEL in section(section(service.get("metadata")).get("labels"))
    if str(model.get("uri", "")).startswith(_PULLED) and not cached:
        pairs.append((str(model["uri"]), MODELS))
    adapters = items(section(model.get("lora")).get("adapters"))
    return pairs + [
        (str(adapter["uri"]), f"/mnt/lora/{adapter.get('name', '')}")
        for adapter in adapters
        if str(adapter.get("uri", "")).startswith(_PULLED)
    ]


def _pod(
    service: Json,
    namespace: str,
    component: str,
    *,
    workload: Json,
    template: Json,
    pairs: Pairs,
    config: Configuration,
    tokenizer: bool = False,
) -> MadePod:
    metadata = section(service.get("metadata"))
    name = str(metadata.get("name", ""))
    labels = {
        **texts(workload.get("labels")),
        LLM_NAME_LABEL: name,
        LLM_PART_OF_LABEL: LLM_PART_OF,
        LLM_COMPONENT_LABEL: f"llminferenceservice-{component}",
    }
    annotations = {
        **{key: value for key, value in texts(metadata.get("annotations")).items() if key.startswith(_PREFIXES)},
        **texts(workload.get("annotations")),
    }
    spec = dict(template)
    notes: tuple[str, ...] = ()
    if not items(spec.get("containers")):
        spec["containers"] = [{"name": "tokenizer" if tokenizer else "main"}]
        notes = (_FROM_PRESETS,)
    if pairs:
        inits = items(spec.get("initContainers"))
        own = next((item for item in inits if item.get("name") == STORAGE_INITIALIZER), {})
        others = [item for item in inits if item.get("name") != STORAGE_INITIALIZER]
        spec["initContainers"] = [*others, _initializer(pairs, own, config, tokenizer=tokenizer)]
        volumes = items(spec.get("volumes"))
        if not any(item.get("name") == VOLUME for item in volumes):
            spec["volumes"] = [*volumes, {"name": VOLUME, "emptyDir": {}}]
    suffix = component.removeprefix("workload").lstrip("-")
    full_name = f"{name}-kserve-{suffix}" if suffix else f"{name}-kserve"
    return MadePod(component, pod(full_name, namespace, labels, annotations, spec), notes)


def _initializer(pairs: Pairs, own: Json, config: Configuration, *, tokenizer: bool) -> dict[str, Any]:
    mount = common_parent(path for _, path in pairs)
    item = container(config, pairs, mount, VOLUME)
    # Name and arguments stay KServe's, whatever the service's own init container of that name says.
    item = merged(item, {key: value for key, value in own.items() if key not in ("name", "args", "command")})
    if any(uri.startswith("hf://") for uri, _ in pairs):
        item = with_hugging_face(item)
    if tokenizer:
        value = json.dumps(TOKENIZER_FILES)
        item["env"] = [*items(item.get("env")), {"name": "STORAGE_ALLOW_PATTERNS", "value": value}]
    return item
