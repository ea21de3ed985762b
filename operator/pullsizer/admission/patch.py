"""From a decision to JSON Patch operations that are sure to apply.

Only `add`: on an object's member that is there it replaces, on one that is not it adds, so it cannot miss as `replace`
and `test` can, and a patch that misses rejects the pod even under `failurePolicy: Ignore`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pullsizer.admission.note import written
from pullsizer.errors import PullsizerError
from pullsizer.names import SIZING
from pullsizer.pod import Resources, resources_of

Json = Mapping[str, Any]
Operation = dict[str, Any]

_TOKEN_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder
_LAST_MOUNT: Final = "/volumeMounts/-"
_TOKEN_VOLUME: Final = "kube-api-access-"  # noqa: S105 - the prefix of a volume's name


class UnsafePatch(PullsizerError):
    """The operations would not do what was decided; they are not sent."""


def resource_operations(index: int, container: Json, decided: Resources) -> list[Operation]:
    """Put the decided values over the container's own; what else is there (claims, devices) stays."""
    block = container.get("resources") or {}
    text = written(decided)
    value = {**block, **{side: {**(block.get(side) or {}), **text[side]} for side in ("requests", "limits")}}
    return [_add(f"/spec/initContainers/{index}/resources", value)]


def environment_operations(index: int, container: Json, environment: Mapping[str, str]) -> list[Operation]:
    """Set variables; one that comes from elsewhere (`valueFrom`) is left alone."""
    if not environment:
        return []
    base = f"/spec/initContainers/{index}/env"
    current = container.get("env")
    if not current:
        return [_add(base, [{"name": name, "value": value} for name, value in environment.items()])]
    places = {item.get("name"): position for position, item in enumerate(current)}
    operations = []
    for name, value in environment.items():
        position = places.get(name)
        if position is None:
            operations.append(_add(f"{base}/-", {"name": name, "value": value}))
        elif "valueFrom" not in current[position]:
            operations.append(_add(f"{base}/{position}/value", value))
    return operations


def token_mount_operations(index: int, spec: Json, container: Json) -> list[Operation]:
    """Mount the service account's token, as the ServiceAccount plugin is about to do.

    KServe's webhook adds its container after that plugin ran. The API server runs the plugin again, it adds this very
    mount, and since the pod changed after our call we are called again: a round trip for every pod. With the mount in
    our patch the plugin has nothing left to do.
    """
    if spec.get("automountServiceAccountToken") is False:
        return []
    mounts = container.get("volumeMounts")
    if not mounts or any(mount.get("mountPath") == _TOKEN_PATH for mount in mounts):
        return []
    volume = token_volume(spec)
    return [] if volume is None else [_token_mount(f"/spec/initContainers/{index}{_LAST_MOUNT}", volume)]


def token_volume(spec: Json) -> str | None:
    """The name of the volume with the service account's token; the ServiceAccount plugin draws it at random."""
    return next(
        (v.get("name") for v in spec.get("volumes") or () if "projected" in v and _generated(v.get("name"))), None
    )


def with_token_volume(operations: Sequence[Operation], volume: str) -> list[Operation]:
    """The same operations for a pod that differs in nothing but the name of that volume."""
    return [
        _token_mount(operation["path"], volume) if operation["path"].endswith(_LAST_MOUNT) else operation
        for operation in operations
    ]


def _token_mount(path: str, volume: str) -> Operation:
    return _add(path, {"name": volume, "readOnly": True, "mountPath": _TOKEN_PATH})


def _generated(name: object) -> bool:
    return isinstance(name, str) and name.startswith(_TOKEN_VOLUME)


def annotation_operations(metadata: Json, text: str) -> list[Operation]:
    if metadata.get("annotations"):
        return [_add(f"/metadata/annotations/{SIZING.replace('/', '~1')}", text)]
    return [_add("/metadata/annotations", {SIZING: text})]


def _add(path: str, value: object) -> Operation:
    return {"op": "add", "path": path, "value": value}


def check(pod: Json, operations: Sequence[Operation], decided: Mapping[int, Resources]) -> None:
    """Apply the operations as the API server will, and see that the containers then have what was decided.

    :raises UnsafePatch: with what is wrong
    """
    result: Any = pod
    for operation in operations:
        result = _applied(result, operation["path"].split("/")[1:], operation["value"])
    for index, resources in decided.items():
        after = resources_of(result["spec"]["initContainers"][index])
        for name, request in resources.requests.items():
            if after.requests.get(name) != request:
                raise UnsafePatch(f"the {name} request would not be as decided")
        for name, limit in resources.limits.items():
            if after.limits.get(name) != limit:
                raise UnsafePatch(f"the {name} limit would not be as decided")
        for name, limit in after.limits.items():
            if after.requests.get(name, 0) > limit:
                raise UnsafePatch(f"the {name} request would be above its limit")


def _applied(node: Any, path: list[str], value: object) -> Any:
    """`add` at a path, on a copy of just what lies on it."""
    head, *rest = path
    head = head.replace("~1", "/").replace("~0", "~")
    if isinstance(node, list):
        if head == "-" and not rest:
            return [*node, value]
        if not rest or not head.isdigit() or int(head) >= len(node):
            raise UnsafePatch("a path leads to no item of a list")
        index = int(head)
        return [*node[:index], _applied(node[index], rest, value), *node[index + 1 :]]
    if not isinstance(node, Mapping):
        raise UnsafePatch("a path leads through what is no object")
    if not rest:
        return {**node, head: value}
    if head not in node:
        raise UnsafePatch("a path leads to nothing")
    return {**node, head: _applied(node[head], rest, value)}
