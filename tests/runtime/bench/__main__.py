"""`make bench-runtime`: ours beside every peer that installs here, in one run, in turns.

All servers are started, and all sleep but the one that is asked. Each way of asking is measured in every round, so what
slows the machine for a while slows them all; what counts are ratios within a round. Raw data go to `.bench/`, one JSON
object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import uvloop

from tests.runtime.bench import measure, overload, report, soak
from tests.runtime.bench.aims import BERT, MINILM
from tests.runtime.bench.asking import questions_of
from tests.runtime.bench.environments import say
from tests.runtime.bench.measure import Record, Target
from tests.runtime.bench.null import over_kserve
from tests.runtime.bench.peers import OURS, PEERS, SERVERS
from tests.runtime.bench.processes import Crowd, awake
from tests.runtime.bench.sample import CELLS, in_turns
from tests.runtime.bench.starting import start
from tests.runtime.bench.subjects import subject

_FOLDER: Final = Path(__file__).parents[3] / ".bench"
_CHECKED_TEXTS: Final = 192
"""That each server is asked first: its answers are checked, and it is warm."""
_BERT: Final = ("kserve", "infinity-onnx", *(server.name for server in OURS))
"""Of a model that is ten times slower, those that matter."""
_BERT_SECONDS: Final = 3.0
"""Times as long: its requests take ten times as long."""


class Bench:
    """One run.

    :param raw: where its records are kept
    """

    def __init__(self, asked: argparse.Namespace, raw: TextIO) -> None:
        self._asked = asked
        self._raw = raw
        self.records: list[Record] = []

    def note(self, record: Record) -> None:
        self.records.append(record)
        self._raw.write(json.dumps(record) + "\n")
        self._raw.flush()

    def about(self) -> None:
        self.note(
            {
                "kind": "run",
                "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                "cpu": _cpu_name(),
                "cores": len(os.sched_getaffinity(0)),
                "python": platform.python_version(),
                "kernel": platform.release(),
                "commit": _commit(),
                "rounds": self._asked.rounds,
                "seconds": self._asked.seconds,
                "ours": [server.name for server in OURS],
                "lossy": [server.name for server in OURS if server.lossy],
            }
        )

    def compare(self, model: str, names: Sequence[str], cells: Sequence[str], seconds: float) -> None:
        """All of one model."""
        served = subject(model)
        with Crowd() as crowd, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            targets: dict[str, Target] = {}
            for name in names:
                target, record = start(crowd, SERVERS[name], served, alone=any(cell != "c1" for cell in cells))
                self.note(record)
                if target is not None:
                    targets[name] = target
            for target in targets.values():
                self._check(target, runner)
            for number in range(self._asked.rounds):
                say(f"{model}: round {number + 1} of {self._asked.rounds}")
                for cell in cells:
                    for name in in_turns(list(targets), number):
                        self.note({**measure.ask(targets[name], CELLS[cell], seconds, runner.run), "round": number})
                        alone = measure.inside(targets[name], CELLS[cell], seconds)
                        if alone is not None:
                            self.note({**alone, "round": number})
            if self._asked.overload:
                for target in targets.values():
                    if target.server.ours and model == MINILM:
                        with awake(target.started):
                            self.note(overload.measure(target, self._rate(target), runner.run))

    def null(self) -> None:
        rates, ratio = over_kserve(self._asked.rounds, self._asked.seconds)
        self.note({"kind": "null", "requests_s": rates, "ratio": ratio})

    def soak(self, model: str, name: str) -> None:
        served = subject(model)
        with Crowd() as crowd, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            target, record = start(crowd, SERVERS[name], served, alone=False)
            self.note(record)
            if target is not None:
                with awake(target.started):
                    self.note(soak.measure(target, self._asked.requests, runner.run))

    def _check(self, target: Target, runner: asyncio.Runner) -> None:
        """All answers are right, or it is said how many are not; and it is warm."""
        served = target.subject
        with awake(target.started):
            heard, _ = runner.run(target.client.ask_once(target.questions(1)[:_CHECKED_TEXTS], 16))
            if heard.errors or heard.wrong:
                say(f"{target.server.name}: {heard.wrong} answers are not the reference's; {dict(heard.errors)}")
            if served.held_out and (target.server.ours or target.server.name == "kserve"):
                texts, labels = zip(*served.held_out, strict=True)
                asked = questions_of(target.server, target.url, texts, labels, 32)
                heard, _ = runner.run(target.client.ask_once(asked, 4))
                accuracy = 1 - (heard.wrong + 32 * sum(heard.errors.values())) / len(texts)
                self.note(
                    {"kind": "accuracy", "model": served.name, "target": target.server.name, "accuracy": accuracy}
                )

    def _rate(self, target: Target) -> float:
        """What it has done at its best."""
        return max(
            (
                one["texts_s"]
                for one in self.records
                if one["kind"] == "cell" and one["target"] == target.server.name and CELLS[one["cell"]].texts == 1
            ),
            default=100.0,
        )


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench-runtime", description=__doc__)
    names = [server.name for server in PEERS]
    parser.add_argument("--peers", default=",".join(names), help=f"of {', '.join(names)}; ours are always there")
    parser.add_argument("--model", help="one model alone, with all peers named; else MiniLM, and then BERT-base")
    parser.add_argument("--cells", default=",".join(CELLS), help="ways of asking")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each server, in each round, for each cell")
    parser.add_argument("--no-overload", dest="overload", action="store_false")
    parser.add_argument("--no-null", dest="null", action="store_false")
    parser.add_argument("--soak", nargs="?", const="openvino-int8", help="instead: many mixed requests to one of ours")
    parser.add_argument("--requests", type=int, default=100_000, help="of --soak")
    parser.add_argument("--summary", type=Path, help="instead: the tables of raw data that are there")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    asked = _arguments(argv)
    if asked.summary is not None:
        print(report.told([json.loads(line) for line in asked.summary.read_text().splitlines()]))
        return
    # Overload has a connection for each request that waits.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _FOLDER.mkdir(exist_ok=True)
    file = _FOLDER / f"runtime-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}.jsonl"
    peers: list[str] = [name for name in asked.peers.split(",") if name]
    ours = [server.name for server in OURS]
    with file.open("w", encoding="utf-8") as raw:
        bench = Bench(asked, raw)
        bench.about()
        if asked.soak:
            bench.soak(asked.model or MINILM, asked.soak)
        else:
            cells = asked.cells.split(",")
            bench.compare(asked.model or MINILM, [*peers, *ours], cells, asked.seconds)
            if asked.model is None:
                names: list[Any] = [name for name in _BERT if name in (*peers, *ours)]
                bench.compare(BERT, names, ["c16"], asked.seconds * _BERT_SECONDS)
            if asked.null:
                bench.null()
    print(report.told(bench.records))
    say(f"raw data are in {file.relative_to(_FOLDER.parent)}")


if __name__ == "__main__":
    main(sys.argv[1:])
