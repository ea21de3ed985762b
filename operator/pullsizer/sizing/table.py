"""The table of downloaders: what each holds in memory, writes to disk and costs in CPU time. One row a downloader.

Every row is one formula, in MiB, for n files of which L is the largest:

    working set = base + min(n, workers) * (each + min(copies * L, held)) + sockets
    limit       = room * working set

Measured with KServe's own downloader unless a row says that it was not: docs/sizing.md tells how, and
tests/unit/sizing/pulls.jsonl has the pulls, which a test holds against this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pullsizer.model import Archive


@dataclass(frozen=True)
class Row:
    """One downloader.

    :param name: as docs/sizing.md has it
    :param how: what it does, for the reason of a decision
    :param base: MiB of interpreter, libraries and kernel
    :param workers: files that are fetched at once, at most
    :param each: MiB for a file in flight, whatever its size
    :param copies: how often what is held of a file is held
    :param held: MiB of a file that are held at once, copies and all, at most
    :param sockets: MiB of socket buffers, which cgroup v2 counts
    :param room: the limit over the working set. Just above the need the kernel thrashes on library pages for minutes
        before it kills, so a quarter where nothing else is known
    :param core_seconds: of CPU, user and system, for a GiB as stored, by kind of archive
    :param fixed_seconds: and for starting
    :param file_seconds: and for each file
    :param cores: that it can use
    :param inflates_first: a tar.gz becomes a whole tar on the disk before it is extracted
    :param streams: an archive is extracted while it arrives, and is never on the disk itself
    :param overhead: bytes on the disk beside each file
    :param measured: whether it was; else the row is a bound by the client's own buffers
    """

    name: str
    how: str
    base: float
    workers: int = 1
    each: float = 0
    copies: float = 1
    held: float = 0
    sockets: float = 0
    room: float = 1.25
    core_seconds: Mapping[Archive, float] = field(default_factory=lambda: {"": 2.5})
    fixed_seconds: float = 0.3
    file_seconds: float = 0.006
    cores: int = 1
    inflates_first: bool = False
    streams: bool = False
    overhead: int = 0
    measured: bool = True

    def working_set(self, files: int, largest: float) -> float:
        """MiB, for a number of files of which the largest has so many MiB."""
        worker = self.each + min(self.copies * largest, self.held)
        return self.base + min(self.workers, max(1, files)) * worker + self.sockets

    def limit(self, files: int, largest: float) -> float:
        """MiB, likewise."""
        return self.room * self.working_set(files, largest)


# Python, requests and a 64 KiB buffer are 23 MiB, with libraries, kernel and sockets 60 ± 10. The smallest limit tried,
# 48Mi, passed at every size; with an archive 64Mi. A single stream cannot use a second core.
HTTP: Final = Row(
    "http(s)",
    "http streams through a small buffer",
    base=60,
    # TLS and Python's copies 0.57 s, the kernel 0.55; inflating weights 5.5 + 1.6; plain tar 0.75 + 1.3
    core_seconds={"": 1.15, "tar": 2.05, "tar.gz": 7.1, "zip": 5.4},
    fixed_seconds=0.2,
    file_seconds=0,
    inflates_first=True,
)
# One file after another: 32 MiB, with 2000 files 36. md5, which is checked where the object has one, is half its CPU.
GS: Final = Row(
    "gs",
    "gs streams one file after another",
    base=60,
    core_seconds={"": 3.4, "tar": 4.4, "tar.gz": 9.4, "zip": 7.7},
    file_seconds=0.0013,
)
# Layers are streamed through tar: 25 MiB.
OCI: Final = Row(
    "oci",
    "oci streams layer after layer",
    base=60,
    core_seconds={"": 1.15, "tar": 2.0, "tar.gz": 6.2, "zip": 6.2},
    file_seconds=0,
    streams=True,
)
# A parent and a process a file, four at most: S3_MAX_FILE_CONCURRENCY. A process is 50 MiB and holds ten parts of
# 8 MiB, of which 60 MiB were seen at once (peak 189 with one process, 474 with four, 241 with four and small files).
# Sockets were 56 MiB with one process on cgroup v2, 34 to 45 with four: they share the link.
S3: Final = Row(
    "s3",
    "s3 fetches up to {workers} files at once",
    base=60,
    workers=4,
    each=50,
    held=60,
    sockets=60,
    core_seconds={"": 2.7, "tar": 4.4, "tar.gz": 8.5, "zip": 7.5},
    fixed_seconds=1.0,
    cores=2,
)
# 30 MiB and 31 for each file in flight, eight at most (60 and 282 at the peak). With hub 2 it is 36 (74 and 322).
PLAIN: Final = Row(
    "hf, plain requests",
    "plain requests, up to {workers} files at once",
    base=60,
    workers=8,
    each=31,
    core_seconds={"": 1.65},
    file_seconds=0.004,
    overhead=6 << 10,
)
PLAIN_HUB_2: Final = Row(
    "hf, plain requests of huggingface_hub 2",
    "plain requests, up to {workers} files at once",
    base=60,
    workers=8,
    each=36,
    core_seconds={"": 1.65},
    file_seconds=0.004,
    overhead=6 << 10,
)
# 100 ranges of 10 MiB, of one file at a time. Each is held 1.7 to 3.2 times: most for 410 MiB and for slow stores.
# Sockets 87 to 115 on cgroup v2. Unlimited, 2960 MiB were seen for 1 GiB; 3.5Gi passed for 8 GiB.
TRANSFER: Final = Row(
    "hf, hf_transfer",
    "hf_transfer holds 100 ranges of a file at once",
    base=100,
    copies=3,
    held=3000,
    sockets=110,
    room=1.15,  # of a bound that is reached only from slow stores
    core_seconds={"": 2.6},
    file_seconds=0.003,
    cores=2,
    overhead=6 << 10,
)
# hf-xet 1.5 buffers as much of the file as network and disk let it, up to 16 GB and 2 GB a file with
# HIGH_PERFORMANCE, to 2 GB and 0.5 without; from a slow store, or to a slow disk, that is the whole file.
XET_HIGH: Final = Row(
    "hf, Xet 1.5 with HIGH_PERFORMANCE",
    "Xet buffers whole files",
    base=100,
    held=17200,
    core_seconds={"": 2.6},
    file_seconds=0.005,
    cores=2,
    overhead=6 << 10,
)
XET: Final = Row(
    "hf, Xet 1.5",
    "Xet buffers 2 GB of a file",
    base=100,
    held=2400,
    core_seconds={"": 2.6},
    file_seconds=0.005,
    cores=2,
    overhead=6 << 10,
)
# With the buffers bounded to 256, 64 and 320 MB a file of 4 GiB peaked at 284 MiB. 1Gi is the one limit it was tried
# under.
XET_BOUNDED: Final = Row(
    "hf, Xet 1.5 with bounded buffers",
    "Xet with bounded buffers",
    base=60,
    held=305,
    room=2.8,
    core_seconds={"": 2.6},
    file_seconds=0.005,
    cores=2,
    overhead=6 << 10,
)
# hf-xet 1.8 reads the limit and sizes itself to it: 102 MiB for one file under 512Mi and less, 207 for ten. More limit
# buys no speed: a GiB took 2.7 s under 256Mi and 3.4 under 1Gi.
XET_1_8: Final = Row(
    "hf, Xet 1.8",
    "Xet sizes itself to the limit",
    base=90,
    workers=8,
    each=15,
    room=1.5,
    core_seconds={"": 2.6},
    file_seconds=0.0065,
    cores=2,
    overhead=6 << 10,
)
# Not measured. The client fetches 32 MiB and then four chunks of 4 MiB of each of four files, and joins them.
AZURE: Final = Row(
    "azure blob",
    "azure fetches up to {workers} files at once",
    base=60,
    workers=4,
    each=2 * (32 + 4 * 4),
    sockets=60,
    core_seconds={"": 2.7, "tar": 4.4, "tar.gz": 8.5, "zip": 7.5},
    cores=2,
    measured=False,
)
# Not measured. Until v0.16 a whole blob was read into memory, and joined there.
AZURE_WHOLE: Final = Row(
    "azure blob, KServe 0.15 and 0.16",
    "azure reads whole files into memory",
    base=60,
    copies=2,
    held=float(1 << 40),
    sockets=60,
    core_seconds={"": 2.7, "tar": 4.4, "tar.gz": 8.5, "zip": 7.5},
    measured=False,
)
# Not measured. One file after another, in chunks of 32 and 4 MiB.
AZURE_FILES: Final = Row(
    "azure file share",
    "azure files come one after another",
    base=60,
    each=2 * (32 + 4),
    sockets=20,
    core_seconds={"": 2.7, "tar": 4.4, "tar.gz": 8.5, "zip": 7.5},
    measured=False,
)
# Not measured. dulwich holds an object and what it is made of, in Python; the pack stays beside the work tree.
GIT: Final = Row(
    "git",
    "git unpacks objects in memory",
    base=100,
    copies=3,
    held=float(1 << 40),
    core_seconds={"": 8.5},
    measured=False,
)
# Not measured: taken to hold what S3's four processes do.
MODELSCOPE: Final = Row(
    "modelscope",
    "modelscope fetches up to {workers} files at once",
    base=60,
    workers=4,
    each=50,
    held=60,
    sockets=60,
    cores=2,
    measured=False,
)
# Not measured. Two threads that copy through small buffers.
HDFS: Final = Row(
    "hdfs",
    "hdfs copies with two threads",
    base=90,
    workers=2,
    each=15,
    core_seconds={"": 2.5, "tar": 4.4, "tar.gz": 8.5, "zip": 7.5},
    measured=False,
)

ROWS: Final[tuple[Row, ...]] = (
    HTTP,
    GS,
    OCI,
    S3,
    PLAIN,
    PLAIN_HUB_2,
    TRANSFER,
    XET_HIGH,
    XET,
    XET_BOUNDED,
    XET_1_8,
    AZURE,
    AZURE_WHOLE,
    AZURE_FILES,
    GIT,
    MODELSCOPE,
    HDFS,
)
