"""The measured pulls, by what was pulled and how: which limits were enough, and which killed or stalled."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from pullsizer.model import Archive, ModelFacts, Source
from pullsizer.quantity import MI
from pullsizer.sizing.law import Downloader, in_memory, need, round_memory

PULLS: Final = Path(__file__).with_name("pulls.jsonl")

_PLAIN: Final = {"HF_HUB_DISABLE_XET": "1"}
_BOUNDED: Final = {
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_SIZE": "256mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_PERFILE_SIZE": "64mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_LIMIT": "320mb",
}
_PATHS: Final[dict[str, tuple[str, dict[str, str], str]]] = {
    # URI, environment and release by which the law finds the row that the pull was in
    "http": ("http://store/model", {}, "v0.20"),
    "https": ("https://store/model", {}, "v0.20"),
    "gs": ("gs://bucket/model", {}, "v0.20"),
    "oci": ("oci://registry/model", {}, "v0.20"),
    "s3": ("s3://bucket/model", {}, "v0.20"),
    "s3-plain-http": ("s3://bucket/model", {}, "v0.20"),
    "s3, boto3 of 2026": ("s3://bucket/model", {}, "v0.20"),
    "hf, plain": ("hf://a/b", _PLAIN, "v0.20"),
    "hf, hub 2.4": ("hf://a/b", _PLAIN, "hub-2"),
    "hf, hf_transfer": ("hf://a/b", {**_PLAIN, "HF_HUB_ENABLE_HF_TRANSFER": "1"}, "v0.20"),
    "hf, xet 1.5.1, HIGH_PERFORMANCE=1": ("hf://a/b", {"HF_XET_HIGH_PERFORMANCE": "1"}, "v0.20"),
    "hf, xet 1.5.1, HIGH_PERFORMANCE=0": ("hf://a/b", {}, "v0.20"),
    "hf, xet 1.5.1, bounded buffers": ("hf://a/b", _BOUNDED, "v0.20"),
    "hf, xet 1.8.0, HIGH_PERFORMANCE=1": ("hf://a/b", {"HF_XET_HIGH_PERFORMANCE": "1"}, "hub-2"),
    "hf, xet 1.8.0, HIGH_PERFORMANCE=0": ("hf://a/b", {}, "hub-2"),
}


@dataclass(frozen=True)
class Configuration:
    """What was pulled, and how; limits in MiB."""

    path: str
    files: int
    total: float
    largest: float
    archive: Archive
    medium: str
    slow: bool
    cgroup: int
    concurrency: int | None

    def __str__(self) -> str:
        notes = (
            self.archive,
            "to memory" if self.medium == "Memory" else "",
            "slow store" if self.slow else "",
            f"cgroup v{self.cgroup}" if self.cgroup != 1 else "",
            f"{self.concurrency} at once" if self.concurrency else "",
        )
        return ", ".join((self.path, f"{self.files} x {self.largest:g} MiB", *filter(None, notes)))

    @property
    def limit(self) -> float:
        """What the law would give."""
        uri, environment, release = _PATHS[self.path]
        if self.concurrency is not None:
            environment = {**environment, "S3_MAX_FILE_CONCURRENCY": str(self.concurrency)}
        size = round(self.total * MI)
        facts = ModelFacts(size, self.files, round(self.largest * MI), self.archive)
        found = need(Source(uri), facts, Downloader(environment, release))  # type: ignore[arg-type] # of the table above
        if self.medium == "Memory":
            found = in_memory(found)
        return round_memory(found.memory_limit) / MI


@dataclass(frozen=True)
class Tried:
    """What came of the pulls of one configuration, by memory limit in MiB; no limit is not among them."""

    good: tuple[float, ...]
    bad: tuple[float, ...]

    @property
    def passed(self) -> float | None:
        """The smallest limit at which every pull passed, and above it none failed."""
        above = [limit for limit in self.good if limit > max(self.bad, default=0)]
        return min(above, default=None)


@cache
def pulls() -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(line) for line in PULLS.read_text().splitlines())


def configuration_of(pull: dict[str, Any]) -> Configuration:
    return Configuration(
        path=pull["path"],
        files=pull["files"],
        total=pull["total_mib"],
        largest=pull["largest_mib"],
        archive=pull.get("archive") or "",
        medium=pull["medium"],
        slow=bool(pull.get("slow_store")),
        cgroup=pull["cgroup"],
        concurrency=pull.get("s3_concurrency"),
    )


@cache
def tried() -> dict[Configuration, Tried]:
    """Every configuration of the measured pulls, and which limits it was tried with."""
    results: defaultdict[Configuration, defaultdict[float, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for pull in pulls():
        found = configuration_of(pull)
        limit = pull["memory_limit_mib"]
        if limit is None:
            results[found]
        else:
            results[found][limit].append(bool(pull["completed"]) and not pull.get("oom_kills"))
    return {
        found: Tried(
            good=tuple(sorted(limit for limit, ends in by_limit.items() if all(ends))),
            bad=tuple(sorted(limit for limit, ends in by_limit.items() if not all(ends))),
        )
        for found, by_limit in results.items()
    }


def alike(one: Configuration) -> Configuration:
    """The same pull on the other version of cgroups, whose limits count for this one too."""
    return replace(one, cgroup=3 - one.cgroup)
