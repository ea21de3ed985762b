"""What the demo shows of each service: what KServe gave its pull container, what the pod has now, and why."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any, Final

SIZING: Final = "pullsizer.dev/sizing"
_WIDTH: Final = 110


@dataclass(frozen=True)
class Sized:
    """One service's pull."""

    service: str
    uri: str
    before: dict[str, dict[str, str]]
    now: dict[str, dict[str, str]]
    why: tuple[str, ...]


def sized(service: str, pod: dict[str, Any]) -> Sized | None:
    """Of a pod that Pullsizer sized; None for another."""
    note = pod["metadata"].get("annotations", {}).get(SIZING)
    if note is None:
        return None
    (name, entry), *_ = json.loads(note)["containers"].items()
    container = next(item for item in pod["spec"]["initContainers"] if item["name"] == name)
    return Sized(service, container["args"][0], entry["from"], container["resources"], tuple(entry["why"]))


def render(rows: list[Sized]) -> str:
    """A paragraph for each service, columns aligned."""
    blocks = []
    for row in rows:
        lines = [f"{row.service}  {row.uri}"]
        lines += [
            f"  {title:<11}{_resources(block)}"
            for title, block in (("KServe gave", row.before), ("it has now", row.now))
        ]
        why = textwrap.wrap("; ".join(row.why), _WIDTH - 13)
        lines += [f"  {'because' if not place else '':<11}  {text}" for place, text in enumerate(why)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _resources(block: dict[str, dict[str, str]]) -> str:
    requests, limits = block.get("requests", {}), block.get("limits", {})
    cells = [f"cpu {requests.get('cpu', '-'):>5}…{limits.get('cpu', '-'):<3}"]
    cells.append(f"memory {requests.get('memory', '-'):>7}…{limits.get('memory', '-'):<8}")
    if disk := requests.get("ephemeral-storage"):
        cells.append(f"disk {disk}")
    return "  " + "  ".join(cells)
