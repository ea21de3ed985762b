"""Fake nodes: kwok plays their kubelets, by the stages in `stages/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .cluster import Cluster

STAGES: Final = Path(__file__).with_name("stages")
CAPACITY: Final = {
    "cpu": "64",
    "memory": "512Gi",
    "ephemeral-storage": "4Ti",
    "nvidia.com/gpu": "16",
    "pods": "1000",
}


def add_node(cluster: Cluster, name: str, capacity: Mapping[str, str] = CAPACITY, **labels: str) -> None:
    """A node on which the scheduler can place pods at once."""
    known = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": known | labels}})
    # Admission taints a new node as not ready; only the node-lifecycle controller, which does not run, takes that off.
    cluster.kubectl("patch", "node", name, "--type=merge", '--patch={"spec": {"taints": null}}')
    # Without allocatable the scheduler fits nothing.
    status = json.dumps({"status": {"capacity": {**capacity}, "allocatable": {**capacity}}})
    cluster.kubectl("patch", "node", name, "--subresource=status", "--type=merge", f"--patch={status}")
