"""One run: what is started, in which order it is asked, and what is noted of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import uvloop

from tests.runtime.bench import measure, overload, soak
from tests.runtime.bench.asking import questions_of
from tests.runtime.bench.environments import say
from tests.runtime.bench.figures import KSERVE
from tests.runtime.bench.measure import Record, Target
from tests.runtime.bench.null import over_kserve
from tests.runtime.bench.ours import OURS
from tests.runtime.bench.peers import PEERS
from tests.runtime.bench.processes import Crowd, awake
from tests.runtime.bench.sample import CELLS, in_turns
from tests.runtime.bench.starting import start
from tests.runtime.bench.subjects import subject

SERVERS: Final = {server.name: server for server in (*PEERS, *OURS)}
_CHECKED_TEXTS: Final = 96
"""That each server is asked first: its answers are checked, and it is warm."""


@dataclass
class Bench:
    """One run.

    :param raw: where its records are kept, a line each
    """

    raw: TextIO
    rounds: int
    seconds: float

    def __post_init__(self) -> None:
        self.records: list[Record] = []
        self._note(
            {
                "kind": "run",
                "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                "cpu": _cpu_name(),
                "cores": len(os.sched_getaffinity(0)),
                "python": platform.python_version(),
                "kernel": platform.release(),
                "commit": _commit(),
                "rounds": self.rounds,
                "seconds": self.seconds,
                "ours": [server.name for server in OURS],
                "lossy": [server.name for server in OURS if server.lossy],
            }
        )

    def compare(
        self, model: str, names: Sequence[str], cells: Sequence[str], *, longer: float = 1, flooded: bool = False
    ) -> None:
        """All of one model.

        :param longer: times as long as usual, of a model whose answers take longer
        :param flooded: whether ours are asked more than they can do, too
        """
        seconds = self.seconds * longer
        served = subject(model)
        with Crowd() as crowd, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            targets: dict[str, Target] = {}
            for name in names:
                target, record = start(crowd, SERVERS[name], served, alone=any(measure.alone(cell) for cell in cells))
                self._note(record)
                if target is not None:
                    targets[name] = target
            for target in targets.values():
                self._check(target, runner)
            for number in range(self.rounds):
                say(f"{model}: round {number + 1} of {self.rounds}")
                for cell in cells:
                    for name in in_turns(list(targets), number):
                        self._note({**measure.ask(targets[name], CELLS[cell], seconds, runner.run), "round": number})
                        inside = measure.inside(targets[name], CELLS[cell], seconds)
                        if inside is not None:
                            self._note({**inside, "round": number})
            for target in targets.values():
                if flooded and target.server.ours:
                    with awake(target.started):
                        self._note(overload.measure(target, self._rate(target), runner.run))

    def null(self) -> None:
        """HTTP with a model that does nothing."""
        rates, ratio = over_kserve(self.rounds, self.seconds)
        self._note({"kind": "null", "requests_s": rates, "ratio": ratio})

    def soak(self, model: str, name: str, requests: int) -> None:
        served = subject(model)
        with Crowd() as crowd, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            target, record = start(crowd, SERVERS[name], served, alone=False)
            self._note(record)
            if target is not None:
                with awake(target.started):
                    self._note(soak.measure(target, requests, runner.run))

    def _note(self, record: Record) -> None:
        self.records.append(record)
        self.raw.write(json.dumps(record) + "\n")
        self.raw.flush()

    def _check(self, target: Target, runner: asyncio.Runner) -> None:
        """All answers are right, or it is said how many are not; and it is warm."""
        served, name = target.subject, target.server.name
        with awake(target.started):
            heard, _ = runner.run(target.client.ask_once(target.questions(1)[:_CHECKED_TEXTS], 16))
            if heard.errors or heard.wrong:
                say(f"{name}: {heard.wrong} answers are not the reference's; {dict(heard.errors)}")
            if not served.held_out or not (target.server.ours or name == KSERVE):
                return
            texts, labels = zip(*served.held_out, strict=True)
            asked = questions_of(target.server, target.url, texts, labels, 32)
            heard, found = runner.run(target.client.ask_once(asked, 4))
        answered = sum(map(len, found))
        self._note(
            {
                "kind": "accuracy",
                "model": served.name,
                "target": name,
                "accuracy": 1 - heard.wrong / answered if answered else 0.0,
                "answered": answered,
            }
        )

    def _rate(self, target: Target) -> float:
        """The most that it has done with a text a request."""
        return max(
            float(one["texts_s"])
            for one in self.records
            if one["kind"] == "cell"
            and (one["model"], one["target"]) == (target.subject.name, target.server.name)
            and CELLS[one["cell"]].texts == 1
        )


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"
