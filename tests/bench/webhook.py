"""`make bench-webhook`: our webhook beside KServe's own and beside one that does nothing, in one run, turn by turn.

Straight to each webhook the same review; then pods through the API server. Machines differ and so do their moods, so
what counts are ratios within a round, and their median. Raw data go to `.bench/`, one JSON object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import datetime as dt
import importlib.metadata
import os
import platform
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

import orjson
import uvloop

from tests.bench.load import Burst, Connection, LoadError, burst
from tests.bench.stage import KSERVE_LIMIT, MODES, Stage, limits_in_patch
from tests.controlplane import ControlPlane, ControlPlaneError, versions
from tests.controlplane.processes import Processes

CONNECTIONS: Final = (1, 10)
TARGETS: Final = {
    "ours": "Pullsizer's webhook",
    "others": "the same, no pod twice",
    "nothing": "aiohttp that does nothing",
    "kserve": "KServe's pod mutator (Go)",
}
WEBHOOKS: Final = {"none": "no webhook", "kserve": "KServe's", "both": "KServe's, then ours"}
_TURNS: Final = 3
"""Each round is cut into so many turns of each target: a hiccup of the machine then meets them all."""
_FOLDER: Final = Path(__file__).parents[2] / ".bench"


@dataclass
class Sample:
    """One round of one target. Seconds."""

    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    busy: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def take(self, found: Burst, cpu: float) -> None:
        self.cpu += cpu
        self.seconds += found.seconds
        self.wall += found.wall
        self.busy.append(found.busy)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    @property
    def p50(self) -> float:
        return self.quantile(0.5)

    @property
    def p99(self) -> float:
        return self.quantile(0.99)

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.wall


Round = dict[str, Sample]


@dataclass(frozen=True)
class Aim:
    """What a ratio is to be.

    :param bound: None where there is no aim, and the ratio is told all the same
    :param ratio: of one round
    :param least: whether `bound` is the least or the most that it may be
    """

    title: str
    bound: float | None
    ratio: Callable[[Round], float]
    least: bool = False

    def verdict(self, value: float) -> str:
        if self.bound is None:
            return "no aim"
        met = value >= self.bound if self.least else value <= self.bound
        return f"aim {'≥' if self.least else '≤'} {self.bound}: {'met' if met else 'MISSED'}"


STRAIGHT: Final = (
    Aim("reviews/s, ours : does nothing", 0.7, lambda each: each["ours"].rate / each["nothing"].rate, least=True),
    Aim("the same, no pod twice", None, lambda each: each["others"].rate / each["nothing"].rate, least=True),
    Aim("p50, ours : KServe's", 0.25, lambda each: each["ours"].p50 / each["kserve"].p50),
    Aim("p99, ours : KServe's", 0.25, lambda each: each["ours"].p99 / each["kserve"].p99),
)
THROUGH: Final = (
    Aim(
        "what ours adds : what KServe's adds (p50)",
        0.4,
        lambda each: (each["both"].p50 - each["kserve"].p50) / (each["kserve"].p50 - each["none"].p50),
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 also where an aim is missed, as a busy machine proves nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.webhook", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="5 or more (default: 7)")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each target in each round (default: 1)")
    parser.add_argument("--pods", type=int, default=40, help="of each kind in each round (default: 40)")
    args = parser.parse_args(argv)
    try:
        with ControlPlane.create(parts=["kserve"]) as plane:
            status: int = uvloop.run(_run(plane, args))
            return status
    except (ControlPlaneError, LoadError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


async def _run(plane: ControlPlane, args: argparse.Namespace) -> int:
    stage = Stage(plane)
    await stage.prepare()
    _FOLDER.mkdir(exist_ok=True)
    begun = dt.datetime.now(dt.UTC)
    path = _FOLDER / f"webhook-{begun:%Y%m%dT%H%M%S}.jsonl"
    with path.open("w") as raw:
        facts = {"begun": begun.isoformat(timespec="seconds"), **machine(), "review_bytes": len(stage.injected[0])}
        _write(raw, {"facts": facts})
        print(*(f"{name}: {value}" for name, value in facts.items()), sep="\n")
        straight = await _straight(stage, args, raw)
        through, calls = await _through(stage, args, raw)
        _write(raw, {"calls_per_pod": calls, "outcomes": stage.outcomes()})
    _check_alive(plane.processes)
    for connections, rounds in straight.items():
        print(f"\nThe same review, {_count(connections)}, {len(rounds)} rounds")
        _print_table(rounds, TARGETS)
        _print_aims(rounds, STRAIGHT)
    for connections, rounds in through.items():
        print(f"\nMaking a pod through the API server, {_count(connections)}, {len(rounds)} rounds")
        _print_table(rounds, WEBHOOKS)
        _print_aims(rounds, THROUGH)
    print(f"\nCalls of our webhook for each pod: {calls:.2f}")
    print(f"load average now: {os.getloadavg()[0]:.1f}; raw data: {path.relative_to(_FOLDER.parent)}")
    return 0


# -- measuring ---------------------------------------------------------------------------------------------------------


async def _straight(stage: Stage, args: argparse.Namespace, raw: TextIO) -> dict[int, list[Round]]:
    targets = stage.targets()
    checks = _checks(stage)
    rounds: dict[int, list[Round]] = {number: [] for number in CONNECTIONS}
    for number in range(1, args.rounds + 1):
        stage.restart()
        pools = {
            name: [await Connection.open(url, stage.tls) for _ in range(max(CONNECTIONS))]
            for name, (url, _) in targets.items()
        }
        for name, (_, requests) in targets.items():
            await burst(pools[name], requests, args.seconds / _TURNS, checks[name])  # to warm up
        for connections in CONNECTIONS:
            each = {name: Sample() for name in TARGETS}
            for _ in range(_TURNS):
                for name in random.sample(list(TARGETS), len(TARGETS)):
                    pool, (_, requests) = pools[name][:connections], targets[name]
                    before = stage.cpu_seconds(name)
                    found = await burst(pool, requests, args.seconds / _TURNS, checks[name])
                    each[name].take(found, stage.cpu_seconds(name) - before)
            rounds[connections].append(each)
            for name, sample in each.items():
                _write(raw, _line(number, connections, name, sample))
        for pool in pools.values():
            for connection in pool:
                connection.close()
        _progress(f"reviews, round {number} of {args.rounds}")
    return rounds


def _checks(stage: Stage) -> dict[str, Callable[[bytes], None]]:
    """What the answers of each have to be."""
    ours = stage.decided

    def patched(limit: str) -> Callable[[bytes], None]:
        def check(body: bytes) -> None:
            response = orjson.loads(body)["response"]
            found = limits_in_patch(orjson.loads(base64.b64decode(response.get("patch", "W10="))))
            if response["allowed"] is not True or limit not in found:
                raise LoadError(f"a patch that sets a memory limit of {limit} was to come, not of {found or 'nothing'}")

        return check

    def allowed(body: bytes) -> None:
        if orjson.loads(body)["response"]["allowed"] is not True:
            raise LoadError("a pod was not allowed")

    return {"ours": patched(ours), "others": patched(ours), "kserve": patched(KSERVE_LIMIT), "nothing": allowed}


async def _through(stage: Stage, args: argparse.Namespace, raw: TextIO) -> tuple[dict[int, list[Round]], float]:
    """The rounds, and our webhook's calls for each pod that it was to be called for."""
    expected = {"none": None, "kserve": KSERVE_LIMIT, "both": stage.decided}
    pool = [await stage.to_api_server() for _ in range(max(CONNECTIONS))]
    rounds: dict[int, list[Round]] = {number: [] for number in CONNECTIONS}
    calls, made = stage.calls(), 0
    for number in range(args.rounds + 1):
        for connections in CONNECTIONS:
            each = {mode: Sample() for mode in MODES}
            order = iter(_shuffled(args.pods))

            async def keep_making(connection: Connection, order: Iterator[str], each: Round) -> None:
                for mode in order:
                    seconds, pod = await stage.make_pod(connection, mode)
                    each[mode].seconds.append(seconds)
                    each[mode].wall += seconds
                    if stage.memory_limit(pod) != expected[mode]:
                        raise LoadError(f"mode {mode}: a memory limit of {stage.memory_limit(pod)}: {expected[mode]}")

            await asyncio.gather(*(keep_making(item, order, each) for item in pool[:connections]))
            made += len(each["both"].seconds)
            if number == 0:
                continue  # to warm up
            rounds[connections].append(each)
            for mode, sample in each.items():
                _write(raw, _line(number, connections, mode, sample))
        _progress(f"pods, round {number} of {args.rounds}")
    for connection in pool:
        connection.close()
    return rounds, (stage.calls() - calls) / made


def _shuffled(count: int) -> list[str]:
    """Modes in an order that favours none, each `count` times."""
    return [mode for _ in range(count) for mode in random.sample(MODES, len(MODES))]


def _check_alive(processes: Processes) -> None:
    processes.check("webhook", "nothing", "kserve-manager", "kube-apiserver")


# -- telling -----------------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    packages = ("aiohttp", "uvloop", "orjson")
    return {
        "cpu": f"{model}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "load_average": round(os.getloadavg()[0], 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages),
        "kubernetes": versions.KUBERNETES,
        "kserve": versions.KSERVE,
    }


def _line(number: int, connections: int, name: str, sample: Sample) -> dict[str, Any]:
    return {
        "round": number,
        "connections": connections,
        "target": name,
        "wall_s": round(sample.wall, 4),
        "server_cpu_s": round(sample.cpu, 4),
        "client_busy": [round(share, 2) for share in sample.busy],
        "microseconds": [round(seconds * 1e6) for seconds in sample.seconds],
    }


def _write(raw: TextIO, item: dict[str, Any]) -> None:
    raw.write(orjson.dumps(item).decode() + "\n")


def _print_table(rounds: list[Round], titles: Mapping[str, str]) -> None:
    straight = bool(next(iter(rounds[0].values())).busy)
    print(
        f"  {'':28}{'p50 ms':>16}{'p99 ms':>18}"
        + (f"{'reviews/s':>18}{'CPU µs':>14}{'client':>10}" if straight else "")
    )
    for name, title in titles.items():
        samples = [each[name] for each in rounds]
        row = f"  {title:28}" + _cell([1000 * item.p50 for item in samples], min, 16)
        row += _cell([1000 * item.p99 for item in samples], min, 18)
        if straight:
            busy = statistics.median(share for item in samples for share in item.busy)
            row += _cell([item.rate for item in samples], max, 18, 0)
            row += _cell([1e6 * item.cpu / len(item.seconds) for item in samples], min, 14, 0) + f"{busy:>9.0%}"
        print(row)
    what = "; its own CPU time a review; what share of a core the client took" if straight else ""
    print(f"  median of rounds (best){what}")


def _cell(values: list[float], best: Callable[[list[float]], float], width: int, digits: int = 2) -> str:
    return f"{f'{statistics.median(values):.{digits}f} ({best(values):.{digits}f})':>{width}}"


def _print_aims(rounds: list[Round], aims: Sequence[Aim]) -> None:
    for aim in aims:
        values = [aim.ratio(each) for each in rounds]
        median = statistics.median(values)
        best = max(values) if aim.least else min(values)
        print(f"  {aim.title:46} {median:.2f} (best {best:.2f}), {aim.verdict(median)}")


def _count(connections: int) -> str:
    return f"{connections} connection{'s' if connections > 1 else ''}"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text} ", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
