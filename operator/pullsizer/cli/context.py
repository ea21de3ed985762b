"""What a plan is made from: objects of files, sorted into what is planned and what admission would know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pullsizer.admission.caches import Caches
from pullsizer.cli.documents import Object, parsed, shown, text_of, valid
from pullsizer.cli.exits import BadInput
from pullsizer.errors import InvalidPolicy
from pullsizer.kserve_pods import Configuration, configuration
from pullsizer.names import (
    ACCEPTED_CONFIGMAP,
    EPHEMERAL_STORAGE,
    INFERENCE_SERVICE,
    KIND,
    KSERVE_CONFIGMAP,
    LLM_INFERENCE_SERVICE,
    MEMORY,
    NODE_DISK_KEY,
    NODE_MEMORY_KEY,
    POLICY_CONFIGMAP,
    POLICY_KEY,
)
from pullsizer.nodes import allocatable
from pullsizer.policy import load_policy
from pullsizer.quantity import write

PLANNED: Final = frozenset({INFERENCE_SERVICE, LLM_INFERENCE_SERVICE, "Pod"})
_OF_NODES: Final = {NODE_DISK_KEY: EPHEMERAL_STORAGE, NODE_MEMORY_KEY: MEMORY}
"""What the controller publishes of nodes, beside the policy."""


@dataclass
class Context:
    """Objects, by what they are for.

    :param planned: services and pods, each with its namespace
    :param caches: filled with the others as the webhook's watches fill them
    :param notes: what was not used, as sentences
    """

    planned: list[tuple[str, Object]] = field(default_factory=list)
    caches: Caches = field(default_factory=Caches)
    kserve: Configuration = field(default_factory=Configuration)
    namespace_labels: dict[str, Mapping[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def context_of(objects: Iterable[Object], policy_file: str | None, namespace: str) -> Context:
    """What a plan is made from.

    :param policy_file: counts before a policy among the objects; neither: the built-in defaults, which are also those
        of the policy that is installed
    :param namespace: of objects that name none
    :raises BadInput: for a policy that would be refused, or an object that the API server would not take
    """
    context = Context()
    accepted: dict[str, str] = {}
    nodes: list[Object] = []
    skipped = Counter[str]()
    kserve_configmap: Object | None = None
    storage_containers: list[Object] = []
    caches = context.caches
    put: dict[str, Callable[[Object], None]] = {
        "LimitRange": caches.put_limit_range,
        "ResourceQuota": caches.put_resource_quota,
        KIND: caches.put_model_pull,
        "Namespace": caches.put_namespace,
        "ClusterStorageContainer": caches.put_storage_container,
    }
    for given in objects:
        kind, item, name = given["kind"], _placed(given, namespace), str(_metadata(given).get("name", ""))
        where = item["metadata"]["namespace"]
        if kind in PLANNED:
            context.planned.append((where, item))
        elif kind in put:
            with valid(f"{kind} {name}"):
                put[kind](item)
            if kind == "Namespace":
                context.namespace_labels[name] = _mapping(item["metadata"], "labels", f"{kind} {name}")
            elif kind == "ClusterStorageContainer":
                storage_containers.append(item)
        elif kind == "Node":
            nodes.append(item)
        elif kind == "ConfigMap" and name == KSERVE_CONFIGMAP:
            kserve_configmap = item
            with valid(f"{kind} {name}"):
                caches.put_kserve_configmap(item)
        elif kind == "ConfigMap" and name in (POLICY_CONFIGMAP, ACCEPTED_CONFIGMAP):
            accepted |= {str(key): str(value) for key, value in _mapping(item, "data", f"{kind} {name}").items()}
        else:
            skipped[f"{kind} {name}" if kind == "ConfigMap" else kind] += 1
    if policy_file is not None:
        accepted[POLICY_KEY] = policy_text(policy_file)
    check_policy(accepted.get(POLICY_KEY, ""), shown(policy_file) if policy_file else POLICY_CONFIGMAP)
    for key, resource in _OF_NODES.items():
        known = [amount for node in nodes if (amount := _allocatable(node, resource)) is not None]
        if known:
            accepted[key] = write(max(known), resource)
    caches.put_accepted({"data": accepted})
    context.kserve = configuration(kserve_configmap, storage_containers)
    context.notes = [
        f"skipped {kind}: nothing of it counts for a pull{f' ({count} times)' if count > 1 else ''}"
        for kind, count in skipped.items()
    ]
    return context


def policy_text(path: str) -> str:
    """Of a file that is the policy, or the ConfigMap with the policy in it.

    :raises BadInput: for a ConfigMap that has none
    """
    text = text_of(path)
    try:
        documents = parsed(text, path)
    except BadInput:
        return text  # the policy's own reader says more of what is wrong
    if len(documents) == 1 and isinstance(documents[0], dict) and documents[0].get("kind") == "ConfigMap":
        data = documents[0].get("data")
        if not isinstance(data, dict) or not isinstance(data.get(POLICY_KEY), str):
            raise BadInput(f"{shown(path)}: this ConfigMap has no key {POLICY_KEY}; write the policy under it")
        return str(data[POLICY_KEY])
    return text


def check_policy(text: str, where: str) -> None:
    try:
        load_policy(text)
    except InvalidPolicy as error:
        raise BadInput("\n".join(f"{where}: {problem}" for problem in error.problems)) from None


def _placed(item: Object, namespace: str) -> Object:
    metadata = _metadata(item)
    return {**item, "metadata": {**metadata, "namespace": str(metadata.get("namespace") or namespace)}}


def _allocatable(node: Object, resource: str) -> int | None:
    with valid(f"Node {_metadata(node).get('name', '')}"):
        return allocatable(node, resource)


def _mapping(block: Mapping[str, Any], key: str, what: str) -> Mapping[str, Any]:
    found = block.get(key) or {}
    if not isinstance(found, Mapping):
        raise BadInput(f"{what} is not what the API server would take: {key} is not a mapping")
    return found


def _metadata(item: Object) -> Mapping[str, Any]:
    return item.get("metadata") or {}
