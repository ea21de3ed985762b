"""Servers as processes: started, made to sleep while another is asked, measured, and ended with all their children."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.controlplane.processes import Process, Processes

START_SECONDS: Final = 240.0
_POLL_SECONDS: Final = 0.05
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class Died(Exception):
    """A server does not run: the end of its log."""


@dataclass(frozen=True)
class Started:
    """One that runs.

    :param ready: seconds from its start to its first answer
    """

    name: str
    port: int
    ready: float
    process: Process

    @property
    def pids(self) -> list[int]:
        """Of all processes of its session: some servers compute in children, which outlive their parent."""
        return [pid for pid, session in _sessions() if session == self.process.popen.pid]

    @property
    def cpu(self) -> float:
        """Seconds of a core, used so far."""
        return sum(int(field) for pid in self.pids for field in _stat(pid)[11:13]) / _TICKS

    @property
    def megabytes(self) -> float:
        """In memory, what is shared with others by its share."""
        return sum(map(_pss, self.pids)) / 1024

    @property
    def resident(self) -> float:
        """Megabytes, what is shared counted in full."""
        return sum(int(fields[21]) for pid in self.pids if (fields := _stat(pid))) * _PAGE / 2**20

    def sleep(self) -> None:
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Crowd:
    """All servers of a run. Whatever happens to us, none of them is left: see `tests.controlplane.processes`."""

    def __enter__(self) -> Self:
        self._processes = Processes(Path(tempfile.mkdtemp(prefix="bench-runtime-")))
        self._all: list[Started] = []
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for started in self._all:
            started.end()
        self._processes.close()

    def scratch(self, name: str) -> Path:
        folder = self._processes.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def start(
        self,
        name: str,
        port: int,
        command: Sequence[str],
        variables: Mapping[str, str],
        answers: Callable[[], bool],
    ) -> Started:
        """Started, and answering.

        :param answers: whether it does, for the first time
        :raises Died: it does not
        """
        began = time.perf_counter()
        process = self._processes.start(name, command, {**_OFFLINE, **variables})
        process.ready = answers
        while not answers():
            status = process.popen.poll()
            if status is not None or time.perf_counter() > began + START_SECONDS:
                Started(name, port, 0.0, process).end()
                what = f"no answer in {START_SECONDS:.0f} s" if status is None else f"ended with status {status}"
                raise Died(f"{what}; the end of its log: {self._processes.tail(name, 8)}")
            time.sleep(_POLL_SECONDS)
        started = Started(name, port, time.perf_counter() - began, process)
        self._all.append(started)
        return started


@contextlib.contextmanager
def awake(started: Started) -> Iterator[None]:
    """For the time of a measurement."""
    started.wake()
    try:
        yield
    finally:
        started.sleep()


def post(url: str, body: bytes | None = None, timeout: float = 30) -> bytes | None:
    """An answer with a status of success; else None."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            found: bytes = answer.read()
            return found
    except (OSError, urllib.error.HTTPError):
        return None


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]


def machine_cpu() -> float:
    """Seconds of a core that all processes together have used so far."""
    first, *_ = Path("/proc/stat").read_text().splitlines()
    user, nice, system, _, _, interrupts, soft, *_ = map(int, first.split()[1:])
    return (user + nice + system + interrupts + soft) / _TICKS


def load_average() -> float:
    return os.getloadavg()[0]


def _sessions() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and len(fields := _stat(int(entry.name))) > 3:
            yield int(entry.name), int(fields[3])


def _stat(pid: int) -> Sequence[str]:
    """Its fields from the state on; none of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ()


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
