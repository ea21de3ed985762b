"""`make bench-runtime`: ours beside every peer that installs here, in one run, in turns.

All servers are started, and all sleep but the one that is asked. Each way of asking is measured in every round, so what
slows the machine for a while slows them all; what counts are ratios within a round. Raw data go to `.bench/`, one JSON
object a line.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.runtime.bench import report
from tests.runtime.bench.aims import BERT, MINILM
from tests.runtime.bench.environments import say
from tests.runtime.bench.ours import OURS
from tests.runtime.bench.peers import PEERS
from tests.runtime.bench.run import Bench
from tests.runtime.bench.sample import CELLS

_FOLDER: Final = Path(__file__).parents[3] / ".bench"
_OF_BERT: Final = ("kserve", "infinity-onnx", *(server.name for server in OURS))
"""Of a model that is ten times slower, those that matter."""
_BERT_LONGER: Final = 3.0
"""Times as long: its requests take ten times as long."""


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench-runtime", description=__doc__)
    peers = [server.name for server in PEERS]
    ours = [server.name for server in OURS]
    parser.add_argument("--peers", type=_some_of(peers), default=peers, help=f"of {', '.join(peers)}")
    parser.add_argument("--ours", type=_some_of(ours), default=ours, help=f"of {', '.join(ours)}")
    parser.add_argument("--model", choices=(MINILM, BERT), help="one alone; else both, BERT-base with the best peers")
    parser.add_argument("--cells", type=_some_of(list(CELLS)), default=list(CELLS), help=f"of {', '.join(CELLS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each server, in each round, for each cell")
    parser.add_argument("--no-overload", dest="overload", action="store_false", help="not four times the load")
    parser.add_argument("--no-null", dest="null", action="store_false", help="not the model that does nothing")
    parser.add_argument("--soak", nargs="?", const="openvino-int8", choices=ours, help="instead: very many requests")
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
    with file.open("w", encoding="utf-8") as raw:
        bench = Bench(raw, asked.rounds, asked.seconds)
        names = [*asked.peers, *asked.ours]
        if asked.soak:
            bench.soak(asked.model or MINILM, asked.soak, asked.requests)
        else:
            if asked.model != BERT:
                bench.compare(MINILM, names, asked.cells, flooded=asked.overload)
            if asked.model != MINILM:
                few = [name for name in names if name in _OF_BERT or asked.model]
                bench.compare(BERT, few, asked.cells if asked.model else ["c16"], longer=_BERT_LONGER)
            if asked.null:
                bench.null()
    print(report.told(bench.records))
    say(f"raw data are in {file.relative_to(_FOLDER.parent)}")


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """What an option takes: names with commas."""

    def read(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
        return names

    return read


if __name__ == "__main__":
    main(sys.argv[1:])
