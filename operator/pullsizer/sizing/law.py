"""What a pull needs, by the law that was measured: 850 pulls with KServe's own downloader (docs/sizing.md).

Memory on disk-backed volumes follows the downloader far more than the model's bytes: http(s) streams through a fixed
buffer; hf_transfer holds 100 ranges of the file it is at; Xet as KServe configures it holds the whole largest file.
Only anonymous memory and sockets count: page cache fills any limit and kills nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pullsizer.model import ModelFacts
from pullsizer.quantity import GI, KI, MI, human, round_up
from pullsizer.sizing.downloader import HuggingFaceDownloader


@dataclass(frozen=True)
class Need:
    """What one pull needs. cpu in millicores, all else in bytes.

    :param working_set: memory that it really uses at the peak; the request
    :param memory_limit: with the room below which kernels thrash for minutes before they kill
    :param core_seconds: all of the pull's CPU time
    :param cpu_limit: more than this it cannot use
    :param disk: the most it occupies at any moment
    :param why: one sentence
    """

    working_set: int
    memory_limit: int
    core_seconds: float
    cpu_limit: int
    disk: int
    why: str


def need(scheme: str, facts: ModelFacts, downloader: HuggingFaceDownloader) -> Need:
    """The need of pulling one source to a disk."""
    if scheme == "hf":
        return _hugging_face(facts, downloader)
    return _streamed(scheme, facts) if scheme in _STREAMED else _parallel(scheme, facts)


def hungriest(schemes: Iterable[str], facts: ModelFacts, downloader: HuggingFaceDownloader) -> Need:
    """The need where it is not known which of several sources the bytes come from."""
    needs = [need(scheme, facts, downloader) for scheme in dict.fromkeys(schemes)]
    return max(needs, key=lambda item: item.memory_limit)


def combined(needs: Sequence[Need]) -> Need:
    """Several sources of one container are pulled one after another: memory is the largest, disk and CPU the sum."""
    if len(needs) == 1:
        return needs[0]
    return Need(
        working_set=max(item.working_set for item in needs),
        memory_limit=max(item.memory_limit for item in needs),
        core_seconds=sum(item.core_seconds for item in needs),
        cpu_limit=max(item.cpu_limit for item in needs),
        disk=sum(item.disk for item in needs),
        why="; ".join(item.why for item in needs[:3]) + ("; …" if len(needs) > 3 else ""),
    )


def in_memory(disk: Need) -> Need:
    """The same pull to an emptyDir of medium Memory: what it writes is charged to it, and stays charged to the pod."""
    model = disk.disk * 101 // 100
    return Need(
        working_set=disk.working_set + model,
        memory_limit=disk.memory_limit + model,
        core_seconds=disk.core_seconds,
        cpu_limit=disk.cpu_limit,
        disk=0,
        why=f"{disk.why}; the volume is memory, so the model itself counts",
    )


def request_for(core_seconds: float) -> int:
    """The CPU request, in millicores: what brings the pull home in five minutes on a node with no CPU to spare.

    Between 100m, KServe's own, and one core: a request stays reserved for the pod's whole life.
    """
    return min(1000, max(100, round_up(round(core_seconds / 300 * 1000), 50)))


def round_memory(amount: int) -> int:
    """Up to a step that a person would write."""
    return round_up(amount, 64 * MI if amount <= 2 * GI else 256 * MI)


_STREAMED: Final = frozenset({"http", "https", "gs", "oci", "oci+fetch"})
"""One stream at a time, through a small buffer. Measured: 48Mi passes at any size, with archives 64Mi."""
_STREAM_WORKING_SET: Final = 60 * MI
_STREAM_LIMIT: Final = 128 * MI
_DISK_MARGIN: Final = 64 * MI
"""Logs, HOME and rounding."""


def _streamed(scheme: str, facts: ModelFacts) -> Need:
    # core-seconds a GiB: TLS, Python's copies and the kernel 1.15, md5 with gs; unpacking as measured on weights
    seconds = {"": 3.4 if scheme == "gs" else 1.15, "tar": 2.05, "tar.gz": 7.1, "zip": 5.4}[facts.archive]
    # What unpacks to how much is not known before: weights compress to 0.82, pickles and text to less. A tar.gz is
    # inflated to a whole tar beside what is extracted from it; a zip is extracted beside itself.
    times = {"": 1.0, "tar": 2.0, "tar.gz": 3.0, "zip": 2.5}[facts.archive]
    kind = f"a {facts.archive} to unpack" if facts.archive else "one file"
    return Need(
        working_set=_STREAM_WORKING_SET,
        memory_limit=_STREAM_LIMIT,
        core_seconds=0.2 + seconds * facts.bytes / GI,
        cpu_limit=1000,  # a single stream cannot use a second core
        disk=int(facts.bytes * times * 1.05) + _DISK_MARGIN,
        why=f"{human(facts.bytes)}, {kind}: {scheme} streams through a small buffer",
    )


def _parallel(scheme: str, facts: ModelFacts) -> Need:
    """S3, with a process for each of up to four files; and what was not measured, taken to need at least as much."""
    workers = min(4, max(1, facts.files)) if scheme == "s3" else 4
    working_set = 60 * MI + 165 * MI * workers
    seconds = {"": 2.5, "tar": 4.4, "tar.gz": 8.5, "zip": 7.5}[facts.archive]
    times = {"": 1.0, "tar": 2.0, "tar.gz": 2.5, "zip": 2.5}[facts.archive]  # the archive and what is extracted from it
    kind = f"a {facts.archive} to unpack" if facts.archive else f"{facts.files} files"
    return Need(
        working_set=working_set,
        memory_limit=working_set * 125 // 100,
        core_seconds=1.0 + seconds * facts.bytes / GI + 0.006 * facts.files,
        cpu_limit=_cpu_limit(facts),
        disk=int(facts.bytes * times * 1.05) + _DISK_MARGIN,
        why=f"{human(facts.bytes)}, {kind}: {scheme} downloads up to {workers} at once",
    )


def _cpu_limit(facts: ModelFacts) -> int:
    """A second core pays for S3, Xet and hf_transfer, where there is enough to fetch."""
    return 2000 if facts.bytes >= 4 * GI else 1000


def _hugging_face(facts: ModelFacts, downloader: HuggingFaceDownloader) -> Need:
    largest = facts.largest
    # (working set, limit, why) of each way in which a file may come; the Hub chooses, so the largest counts.
    if downloader.transfer:
        # 100 ranges of 10 MiB, each held up to three times, of one file at a time; sockets 110
        held = 3 * min(largest, 1000 * MI)
        working_set = 100 * MI + held + 110 * MI
        ways = [(working_set, working_set * 115 // 100, "hf_transfer holds 100 ranges of a file at once")]
    else:
        # 31 MiB for each file in flight, 8 at most
        working_set = 60 * MI + 31 * MI * min(8, facts.files)
        ways = [(working_set, max(192 * MI, working_set * 125 // 100), "plain requests, up to 8 files at once")]
    if downloader.xet and downloader.buffers_capped:
        ways.append((384 * MI, GI, "Xet with capped buffers"))
    elif downloader.xet:
        # Up to the buffers' cap Xet holds as much of the file as network and disk let it: 16 GB and 2 GB a file with
        # HIGH_PERFORMANCE, as KServe injects it; 2 GB and 0.5 GB without
        cap = 17200 * MI if downloader.high_performance else 2400 * MI
        working_set = 100 * MI + min(largest, cap)
        ways.append((working_set, working_set * 125 // 100, "Xet buffers whole files"))
    working_set, _, why = max(ways)
    limit = max(limit for _, limit, _ in ways)
    cache = min(facts.bytes, 10 * GI) if downloader.chunk_cache and downloader.xet else 0
    return Need(
        working_set=working_set,
        memory_limit=limit,
        core_seconds=0.3 + 2.6 * facts.bytes / GI + 0.005 * facts.files,
        cpu_limit=_cpu_limit(facts),
        disk=facts.bytes * 105 // 100 + _DISK_MARGIN + 6 * KI * facts.files + cache,
        why=f"{human(facts.bytes)} in {facts.files} files, largest {human(largest)}: {why}",
    )
