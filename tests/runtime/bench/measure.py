"""One server, one way of asking, a few seconds: what came of it, as one line of the raw data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from tests.runtime.bench.asking import Client, Question, questions
from tests.runtime.bench.processes import Started, awake, load_average, machine_cpu, post
from tests.runtime.bench.sample import CELLS, Cell, Heard, rate
from tests.runtime.bench.server import Server
from tests.runtime.bench.subjects import Subject

T = TypeVar("T")
Record: TypeAlias = dict[str, Any]
Run: TypeAlias = Callable[[Coroutine[Any, Any, T]], T]
"""`asyncio.Runner.run`."""

WARM_SECONDS: Final = 0.7
"""After waking up, and until the clients are out of step with each other."""


@dataclass(frozen=True)
class Target:
    """A server that runs, and is asleep.

    :param inside: of ours, the engine alone in a process of its own
    """

    server: Server
    started: Started
    subject: Subject
    inside: Started | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.started.port}"

    @property
    def client(self) -> Client:
        return Client(self.server, self.url, self.subject.ids)

    def questions(self, texts: int) -> list[Question]:
        return questions(self.server, self.url, self.subject, texts)


def ask(target: Target, cell: Cell, seconds: float, run: Run[Heard]) -> Record:
    """Asked for so long, not counting the time until it is warm."""
    asked = target.questions(cell.texts)
    before = load_average()
    with awake(target.started):
        cpu, machine, client = target.started.cpu, machine_cpu(), time.process_time()
        began = time.perf_counter()
        begin, end = began + WARM_SECONDS, began + WARM_SECONDS + seconds
        heard = run(target.client.ask(asked, cell.clients, end, probed=cell.probed))
        wall = time.perf_counter() - began
        used, busy = target.started.cpu - cpu, time.process_time() - client
        others = machine_cpu() - machine - used - busy
        memory = target.started.megabytes
    warm = [span for span in heard.spans if span.answered >= begin]
    return {
        "kind": "cell",
        "model": target.subject.name,
        "target": target.server.name,
        "cell": cell.name,
        "texts_s": rate(heard.spans, begin, end),
        "latency_ms": [round(1000 * span.seconds, 2) for span in warm],
        "health_ms": [round(1000 * one, 2) for one in heard.health],
        "answered": sum(span.texts for span in heard.spans),
        "wrong": heard.wrong,
        "errors": dict(heard.errors),
        "cpu": used / wall,
        "client_cpu": busy / wall,
        "others_cpu": max(0.0, others / wall),
        "load_before": before,
        "pss_mb": memory,
    }


def alone(cell: str) -> bool:
    """Whether the engine alone is measured beside this cell: where texts wait one by one."""
    return CELLS[cell].texts == 1 and CELLS[cell].clients > 1


def inside(target: Target, cell: Cell, seconds: float) -> Record | None:
    """The engine alone, with as many texts waiting as the cell has clients."""
    if target.inside is None or not alone(cell.name):
        return None
    url = f"http://127.0.0.1:{target.inside.port}/?waiting={cell.clients}&seconds="
    with awake(target.inside):
        post(f"{url}{WARM_SECONDS}")
        cpu, machine, began = target.inside.cpu, machine_cpu(), time.perf_counter()
        found = post(f"{url}{seconds}", timeout=seconds + 30)
        wall = time.perf_counter() - began
        used = target.inside.cpu - cpu
    if found is None:
        return None
    return {
        "kind": "inside",
        "model": target.subject.name,
        "target": target.server.name,
        "cell": cell.name,
        "texts_s": json.loads(found)["texts_s"],
        "cpu": used / wall,
        "others_cpu": max(0.0, (machine_cpu() - machine - used) / wall),
    }
