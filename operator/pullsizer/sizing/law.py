"""What a pull needs, by the table of downloaders that was measured (docs/sizing.md).

Memory on disk-backed volumes follows the downloader far more than the model's bytes: http(s) streams through a fixed
buffer; hf_transfer holds 100 ranges of the file it is at; Xet as KServe configures it holds the whole largest file.
Only anonymous memory and sockets count: page cache fills any limit and kills nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pullsizer.model import ModelFacts, Source, Store
from pullsizer.policy import Policy, Profile
from pullsizer.quantity import GI, MI, human, round_up
from pullsizer.sizing.downloader import chunk_cache, decrypts, ways
from pullsizer.sizing.table import Row

_DISK_MARGIN: Final = 64 * MI
"""Logs, HOME and rounding."""
_DISK_ROOM: Final = 105
"""Per cent. Blocks and notes beside 2000 small files took 0.7 to 2.9 %."""
_TMPFS_ROOM: Final = 101
"""Per cent. Overhead of tmpfs was below 0.5 %."""
_COMPRESSED: Final = 1.5
"""Times that an archive's content is larger, where that could not be read: weights compress to 0.82, text to less."""
_DECRYPTED: Final = 4
"""Times of the largest file: text, its base64, bytes and plain text are in memory at once (KServe v0.20,
python/storage/kserve_storage). Not measured."""
_BY_RELEASE: Final = frozenset({"hf", "azure"})
"""Stores whose clients need more in some releases than in others."""
_UNSURE: Final = "the most demanding release, as the image's tag names none; downloader.profile tells which it is"
_MOST: Final = 1 << 60
"""Bytes: half of what a quantity can be."""
_LEAST_CPU: Final = 100
_MOST_CPU: Final = 1000


@dataclass(frozen=True)
class Downloader:
    """What fetches a container's sources: its variables, and the release it is of, where that is known."""

    environment: Mapping[str, str]
    release: Profile | None


@dataclass(frozen=True)
class Need:
    """What one pull needs. cpu in millicores, all else in bytes.

    :param working_set: memory that it really uses at the peak; the request
    :param memory_limit: with the room below which kernels thrash for minutes before they kill
    :param core_seconds: all of the pull's CPU time
    :param stored: bytes that come over the network
    :param byte_seconds: of CPU time for a byte, where it goes fastest
    :param cores: that it can use at most
    :param disk: the most it occupies at any moment
    :param why: one sentence
    :param unsure: what stands in for what is not known, and how to tell it; empty where all is
    """

    working_set: int
    memory_limit: int
    core_seconds: float
    stored: int
    byte_seconds: float
    cores: int
    disk: int
    why: str
    unsure: str = ""


def need(source: Source, facts: ModelFacts, downloader: Downloader) -> Need:
    """The need of pulling one source to a disk."""
    found = ways(source.store, facts, downloader.environment, downloader.release)
    hungriest = max(found, key=lambda way: way.row.working_set(facts.files, way.largest / MI)).row
    row = max((way.row for way in found), key=lambda row: (row.core_seconds[""], row.file_seconds))
    working_set = round(max(way.row.working_set(facts.files, way.largest / MI) for way in found) * MI)
    limit = round(max(way.row.limit(facts.files, way.largest / MI) for way in found) * MI)
    if decrypts(downloader.environment):
        working_set, limit = working_set + _DECRYPTED * facts.largest, limit + _DECRYPTED * facts.largest
    disk = _disk(row, facts)
    if source.store == "hf":
        disk += chunk_cache(facts, downloader.environment, downloader.release)
    seconds = row.core_seconds.get(facts.archive, row.core_seconds[""])
    return Need(
        working_set=working_set,
        memory_limit=limit,
        core_seconds=row.fixed_seconds + seconds * facts.bytes / GI + row.file_seconds * facts.files,
        stored=facts.bytes,
        byte_seconds=seconds / GI,
        cores=max(way.row.cores for way in found),
        disk=disk,
        why=_why(source.store, hungriest, facts),
        unsure=_UNSURE if source.store in _BY_RELEASE and downloader.release is None else "",
    )


def _disk(row: Row, facts: ModelFacts) -> int:
    """The most that lies on the disk at once."""
    stored, content = facts.bytes, facts.unpacked or round(facts.bytes * _COMPRESSED)
    match facts.archive:
        case "":
            most = stored
        case _ if row.streams:
            most = content
        case "tar":
            most = stored + (facts.unpacked or stored)
        case "tar.gz" if row.inflates_first:
            most = 2 * content
        case _:
            most = stored + content
    return most * _DISK_ROOM // 100 + _DISK_MARGIN + row.overhead * facts.files


def _why(store: Store | None, row: Row, facts: ModelFacts) -> str:
    what = f"{facts.files} {'file' if facts.files == 1 else 'files'}, largest {human(facts.largest)}"
    if facts.archive:
        content = f" of {human(facts.unpacked)}" if facts.unpacked else ""
        what = f"a {facts.archive}{content} to unpack"
    size = f"{'about ' if facts.basis == 'estimated' else ''}{human(facts.bytes)}"
    unsure = "" if row.measured and store is not None else " (never measured: a bound)"
    return f"{size}, {what}: {row.how.format(workers=row.workers)}{unsure}"


def hungriest_of(sources: Iterable[Source], facts: ModelFacts, downloader: Downloader) -> Need:
    """The need where it is not known which of several sources the bytes come from."""
    return max((need(source, facts, downloader) for source in sources), key=lambda item: item.memory_limit)


def combined(needs: Sequence[Need]) -> Need:
    """Several sources of one container are pulled one after another: memory is the largest, disk and CPU the sum."""
    if len(needs) == 1:
        return needs[0]
    return Need(
        working_set=max(item.working_set for item in needs),
        memory_limit=max(item.memory_limit for item in needs),
        core_seconds=sum(item.core_seconds for item in needs),
        stored=sum(item.stored for item in needs),
        byte_seconds=max(item.byte_seconds for item in needs),
        cores=max(item.cores for item in needs),
        disk=sum(item.disk for item in needs),
        why="; ".join(item.why for item in needs[:3]) + ("; …" if len(needs) > 3 else ""),
        unsure=next((item.unsure for item in needs if item.unsure), ""),
    )


def in_memory(disk: Need) -> Need:
    """The same pull to an emptyDir of medium Memory: what it writes is charged to it, and stays charged to the pod."""
    model = disk.disk * _TMPFS_ROOM // 100
    return Need(
        working_set=disk.working_set + model,
        memory_limit=disk.memory_limit + model,
        core_seconds=disk.core_seconds,
        stored=disk.stored,
        byte_seconds=disk.byte_seconds,
        cores=disk.cores,
        disk=0,
        why=f"{disk.why}; the volume is memory: the model itself counts, and stays charged to the serving container",
        unsure=disk.unsure,
    )


def cpu_request(wanted: Need, policy: Policy) -> int:
    """Millicores that bring the pull home in `pullTimeGoal` on a node with no CPU to spare.

    Where the link alone takes longer, what keeps up with the link. Between 100m, KServe's own, and one core: a request
    stays reserved for the pod's whole life.
    """
    seconds = max(policy.pull_time_goal, wanted.stored * 8 / policy.link_speed)
    return min(_MOST_CPU, max(_LEAST_CPU, round_up(round(wanted.core_seconds / seconds * 1000), 50)))


def cpu_limit(wanted: Need, policy: Policy) -> int:
    """Millicores: more than a core where one would take more than a tenth of `pullTimeGoal`, as far as the link can
    keep them busy and the downloader can use them.
    """
    useful = min(wanted.core_seconds / (policy.pull_time_goal / 10), wanted.byte_seconds * policy.link_speed / 8)
    return 1000 * max(1, min(wanted.cores, math.ceil(useful)))


def round_memory(amount: int) -> int:
    """Up to a step that a person would write; no more than Kubernetes can hold, whatever somebody says a model has."""
    amount = min(amount, _MOST)
    step = 32 * MI if amount <= 512 * MI else 64 * MI if amount <= 2 * GI else 256 * MI
    return round_up(amount, step)
