"""What this container may take of the node: libraries ask the node, and would take all of it."""

from __future__ import annotations

import os
from pathlib import Path


def cpus(root: Path = Path("/")) -> int | None:
    """CPUs by the container's limit, rounded down; None where it has none, or none below what the process may run on.

    Threads beyond the limit do not compute more: the kernel stops all of them for the rest of each 100 ms, those that
    answer probes among them.
    """
    try:
        quota, period = (root / "sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        limit = max(1, int(quota) // int(period))
    except (OSError, ValueError):  # "max" is no number
        return None
    return limit if limit < len(os.sched_getaffinity(0)) else None


def memory_free(root: Path = Path("/")) -> int | None:
    """Bytes that this container may still take; None where nobody says.

    Files that were read count as taken until the kernel wants their place: they are free, as they are for the kubelet.
    """
    group = root / "sys/fs/cgroup"
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        taken = int((group / "memory.current").read_text(encoding="ascii"))
        return limit - taken + _field(group / "memory.stat", "inactive_file")
    except (OSError, ValueError):  # "max" is no number
        pass
    try:
        return _field(root / "proc/meminfo", "MemAvailable:") * 1024
    except (OSError, ValueError):
        return None


def _field(file: Path, name: str) -> int:
    """:raises ValueError: there is none"""
    for line in file.read_text(encoding="ascii").splitlines():
        key, value, *_ = line.split()
        if key == name:
            return int(value)
    raise ValueError(name)
