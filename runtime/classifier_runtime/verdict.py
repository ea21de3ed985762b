"""What an export found out, and leaves beside the model for every start: `verdict.json`.

The backend is chosen once, so that all replicas choose the same and none spends its start on it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

VERDICT: Final = "verdict.json"
# What the inputs of an export are and mean, by `backends.layouts`: one of another number could not be read.
LAYOUT: Final = 1
# The flags that matrix products are chosen by; two CPUs with the same ones are close enough for one verdict.
FLAGS: Final = frozenset(
    {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_bf16", "amx_int8", "asimd", "sve"}
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one export.

    :param backend: the fastest, `openvino` unless another wins by far
    :param classes: C
    :param model: `fingerprint` of what was exported
    :param cpu: flags of the machine that timed
    :param seconds: of the same work, by backend; empty where nothing was timed
    :param layout: `LAYOUT` of the version that exported
    :param int8: what the gate measured; None where the model is not quantised
    """

    backend: str
    classes: int
    model: str
    cpu: tuple[str, ...]
    threads: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    int8: dict[str, float] | None = None
    layout: int = LAYOUT

    def write(self, folder: Path) -> None:
        (folder / VERDICT).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> Verdict | None:
    """What is beside a model; None where nothing is, or of another version of ours."""
    try:
        said: dict[str, Any] = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
        if said["layout"] != LAYOUT:
            return None
        return Verdict(**{**said, "cpu": tuple(said["cpu"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def cpu_flags() -> tuple[str, ...]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    words = next((line.split(":", 1)[1].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return tuple(sorted(FLAGS.intersection(words)))
