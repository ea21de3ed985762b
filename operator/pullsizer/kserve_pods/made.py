"""A pod to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class MadePod:
    """The pod of one component of a service.

    :param notes: what had to be assumed, as sentences
    """

    component: str
    pod: dict[str, Any]
    notes: tuple[str, ...] = ()


def pod(name: str, namespace: str, labels: Json, annotations: Json, spec: Json) -> dict[str, Any]:
    metadata = {"generateName": f"{name}-", "namespace": namespace, "labels": dict(labels)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": dict(spec)}


def section(value: object) -> dict[str, Any]:
    """A mapping that somebody wrote, or nothing where they wrote something else."""
    return dict(value) if isinstance(value, Mapping) else {}


def items(value: object) -> list[dict[str, Any]]:
    """The mappings in a list that somebody wrote."""
    return [dict(item) for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def texts(value: object) -> dict[str, str]:
    """Labels or annotations."""
    return {str(key): str(item) for key, item in section(value).items()}
