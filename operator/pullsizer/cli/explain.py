"""`pullsizer explain`: what was done to the pulls of a pod and why, or why nothing was."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from pullsizer.admission.note import read, written
from pullsizer.cli.console import Format, dump, rows, stdout
from pullsizer.cli.documents import Object, objects
from pullsizer.cli.exits import OK, UNANSWERED, BadInput
from pullsizer.cli.plan_output import amounts
from pullsizer.cli.unsized import why_not_sized
from pullsizer.errors import ClusterError, InvalidQuantity, NotFound
from pullsizer.names import (
    ACCEPTED_CONFIGMAP,
    API_VERSION,
    KSERVE_CONFIGMAP,
    KSERVE_GROUP,
    PLURAL,
    POLICY_KEY,
    SIZING,
)
from pullsizer.pod import resources_of
from pullsizer.policy import DEFAULT
from pullsizer.pulls import owner_of

if TYPE_CHECKING:
    from pullsizer.cluster import KubeApi

Json = Mapping[str, Any]

_BASES: Final = {
    "annotation": "an annotation",
    "tier": "the administrator's table",
    "model": "the model",
    "default": "modelPullResources, as its size was not known",
}


def from_file(path: str, name: str | None, namespace: str, *, form: Format) -> int:
    """The exit code."""
    found = objects([path])
    pods = [item for item in found if item["kind"] == "Pod" and name in (None, _name(item))]
    if len(pods) != 1:
        raise BadInput(
            f"{'several pods are' if pods else 'no such pod is'} in what was given; name the one to explain, or give "
            "its manifest alone"
        )
    return _explain(pods[0], found, namespace, form, [])


def from_cluster(
    name: str, *, kubeconfig: Path | None, namespace: str | None, system: str, kserve: str, form: Format
) -> int:
    """The exit code.

    :raises ClusterError: where the pod cannot be read
    """
    kubeconfig = kubeconfig or _usual_kubeconfig()
    where = namespace or _namespace_of(kubeconfig) or "default"
    pod, around, notes = asyncio.run(_read(name, where, kubeconfig, system, kserve))
    return _explain(pod, around, where, form, notes)


async def _read(
    name: str, namespace: str, kubeconfig: Path | None, system: str, kserve: str
) -> tuple[Object, list[Object], list[str]]:
    """The pod; what its sizing depends on, as far as we may read it; and what we may not, as sentences."""
    from pullsizer.cluster import KubeApi  # noqa: PLC0415 - kubernetes takes longer to import than all else together

    async with await KubeApi.connect(kubeconfig) as api:
        try:
            pod = await api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
        except NotFound:
            raise ClusterError(404, f"there is no pod {name} in namespace {namespace}") from None
        if _note(pod) is not None:
            return pod, [], []
        return pod, *await _around(api, namespace, system, kserve)


async def _around(api: KubeApi, namespace: str, system: str, kserve: str) -> tuple[list[Object], list[str]]:
    found: list[Object] = []
    notes: list[str] = []
    wanted = {
        f"namespace {namespace}": ("Namespace", f"/api/v1/namespaces/{namespace}"),
        "the accepted policy": ("ConfigMap", f"/api/v1/namespaces/{system}/configmaps/{ACCEPTED_CONFIGMAP}"),
        "KServe's ConfigMap": ("ConfigMap", f"/api/v1/namespaces/{kserve}/configmaps/{KSERVE_CONFIGMAP}"),
    }
    for words, (kind, path) in wanted.items():
        try:
            found.append({**await api.get(path), "kind": kind})
        except NotFound:
            if kind == "ConfigMap" and ACCEPTED_CONFIGMAP in path:
                notes.append(f"no policy was accepted yet: there is no ConfigMap {ACCEPTED_CONFIGMAP} in {system}")
                in_force = {POLICY_KEY: f"mode: {DEFAULT.mode}"}
                found.append({"kind": kind, "metadata": {"name": ACCEPTED_CONFIGMAP}, "data": in_force})
        except ClusterError as error:
            notes.append(f"{words} could not be read: {error}")
    lists = {
        "the ClusterStorageContainers": f"/apis/{KSERVE_GROUP}/v1alpha1/clusterstoragecontainers",
        "the ModelPulls": f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}",
    }
    for words, path in lists.items():
        try:
            found += (await api.list(path))["items"]
        except ClusterError as error:
            notes.append(f"{words} could not be read: {error}")
    return found, notes


def _explain(pod: Object, around: list[Object], namespace: str, form: Format, notes: list[str]) -> int:
    namespace = str(pod["metadata"].get("namespace") or namespace)
    note = _note(pod)
    reasons = [] if note else [*notes, *why_not_sized(pod, around, namespace)]
    if form != "table":
        owner = owner_of(pod["metadata"].get("labels"))
        service = {"kind": owner.kind, "name": owner.service, "component": owner.component} if owner else None
        head = {"namespace": namespace, "pod": _name(pod), "service": service}
        dump({**head, "sizing": note, "notSized": reasons}, form)
    elif note:
        _show(pod, namespace, note)
    else:
        stdout().print(Text(f"{namespace}/{_name(pod)}: not sized by Pullsizer", style="head"))
        rows(stdout(), [("" if number else "because", reason) for number, reason in enumerate(reasons)])
    return OK if note else UNANSWERED


def _note(pod: Json) -> dict[str, Any] | None:
    """Our annotation, if it is one that we wrote."""
    containers = read(pod)
    if not containers:
        return None
    version = json.loads(pod["metadata"]["annotations"][SIZING]).get("version")
    return {"version": str(version), "containers": containers}


def _show(pod: Json, namespace: str, note: Json) -> None:
    console = stdout()
    owner = owner_of(pod["metadata"].get("labels"))
    whose = f", {owner.component} of {owner.kind} {owner.service}" if owner else ""
    console.print(Text(f"{namespace}/{_name(pod)}{whose}: sized by Pullsizer {note['version']}", style="head"))
    for name, item in note["containers"].items():
        console.print(f"  {name}")
        rows(console, _lines(pod, name, item), indent=4)


def _lines(pod: Json, name: str, item: Json) -> Iterator[tuple[str, str]]:
    yield "had", _words(item["from"])
    yield "got", _words(item["to"])
    now = _now(pod, name)
    if now is None:
        yield "has now", "no such container: the annotation is another pod's"
    elif _words(now) != _words(item["to"]):
        yield "has now", f"{_words(now)}: somebody changed it since, or the annotation is another pod's"
    yield "by", _BASES.get(str(item["basis"]), str(item["basis"]))
    yield from (("" if number else "because", reason) for number, reason in enumerate(item["why"]))


def _words(block: object) -> str:
    try:
        return amounts(resources_of({"resources": block}))
    except (InvalidQuantity, AttributeError, TypeError):
        return "what cannot be read"


def _now(pod: Json, name: str) -> dict[str, Any] | None:
    found = (pod.get("spec") or {}).get("initContainers") or ()
    container = next((item for item in found if item.get("name") == name), None)
    return written(resources_of(container)) if container else None


def _name(pod: Json) -> str:
    metadata = pod["metadata"]
    return str(metadata.get("name") or metadata.get("generateName") or "").rstrip("-")


def _usual_kubeconfig() -> Path | None:
    """Where kubectl looks; None in a pod, whose ServiceAccount is the way.

    :raises ClusterError: where there is neither
    """
    usual = Path.home() / ".kube" / "config"
    if usual.exists():
        return usual
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return None
    raise ClusterError(0, "no cluster: name a kubeconfig by --kubeconfig or $KUBECONFIG, or give a manifest by -f")


def _namespace_of(kubeconfig: Path | None) -> str | None:
    """Of the kubeconfig's current context, as kubectl takes it."""
    from pullsizer.cluster.kubeconfig import read_kubeconfig  # noqa: PLC0415 - as KubeApi, which comes with it

    return read_kubeconfig(kubeconfig).namespace if kubeconfig else None
