"""`make bench-scale`: one controller, a Hub with a request limit, and 10,000 services on a real API server.

KServe's own controller is out of the way: it would take longer for its part than all else here. What is counted (calls
of the Hub, writes to the API server) is the same on every machine; what is timed is this one's. Raw data go to
`.bench/`, one JSON object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import orjson
import uvloop

from tests.bench.fleet import Fleet, condition, measured, until
from tests.bench.load import LoadError
from tests.bench.webhook import machine
from tests.controlplane import ControlPlane, ControlPlaneError

_FOLDER: Final = Path(__file__).parents[2] / ".bench"
_NEWCOMERS: Final = 5


class Report:
    """What was found: printed, and kept."""

    def __init__(self, raw: TextIO) -> None:
        self._raw = raw

    def tell(self, phase: str, **facts: Any) -> None:
        self._raw.write(orjson.dumps({"phase": phase, **facts}).decode() + "\n")
        self._raw.flush()
        print(f"\n{phase}")
        for name, value in facts.items():
            shown = f"{value:.2f}" if isinstance(value, float) else value
            print(f"  {name.replace('_', ' '):36}{shown}")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 where a count is not what it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--services", type=int, default=10_000, help="with distinct models (default: 10000)")
    parser.add_argument("--identical", type=int, default=1_000, help="with one model (default: 1000)")
    # Half goes at once: at this limit the rest of 10,000 takes 200 s.
    parser.add_argument("--limit", type=int, default=12_000, help="requestsPer5Minutes (default: 12000)")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds that the Hub takes (default: 0.1)")
    args = parser.parse_args(argv)
    _FOLDER.mkdir(exist_ok=True)
    begun = dt.datetime.now(dt.UTC)
    path = _FOLDER / f"scale-{begun:%Y%m%dT%H%M%S}.jsonl"
    try:
        with ControlPlane.create(parts=[]) as plane, path.open("w") as raw:
            report = Report(raw)
            report.tell("setting", begun=begun.isoformat(timespec="seconds"), **vars(args), **machine())
            fleet = Fleet(plane, args.limit, args.latency)
            fleet.start()
            wrong: list[str] = uvloop.run(_run(fleet, report, args))
    except (ControlPlaneError, LoadError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\nraw data: {path.relative_to(_FOLDER.parent)}")
    for sentence in wrong:
        print(f"WRONG: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


async def _run(fleet: Fleet, report: Report, args: argparse.Namespace) -> list[str]:
    wrong: list[str] = []

    def expect(what: str, found: float, wanted: float) -> None:
        if found != wanted:
            wrong.append(f"{what}: {found:g}, not {wanted:g}")

    idle = [await fleet.seconds_to_measured("idle", f"hf://stub/model-i{n}", f"i{n}") for n in range(_NEWCOMERS)]
    before = fleet.process()
    report.tell("one controller, idle", newcomer_s=idle, newcomer_median_s=statistics.median(idle), **before)
    fleet.writes()

    begin, calls = time.monotonic(), sum(fleet.hub_calls().values())
    uris = [f"hf://stub/model-{number}" for number in range(args.services)]
    making = asyncio.create_task(fleet.make("fleet", uris))
    await until(lambda: fleet.metric("pullsizer_hub_requests_left") < args.limit * 0.45 or making.done())
    busy = []
    for number in range(_NEWCOMERS):
        behind = fleet.metric("pullsizer_measure_waiting", lane="hub")
        took = await fleet.seconds_to_measured("newcomers", f"hf://stub/model-n{number}", f"n{number}")
        busy.append((behind, took))
    await making
    await until(lambda: fleet.metric("pullsizer_measure_waiting", lane="hub") == 0, pause=0.5)
    await fleet.settled()
    found = await fleet.model_pulls("fleet")
    after, writes = fleet.process(), fleet.writes()
    times = sorted(await fleet.waits("fleet"))
    services = args.services + _NEWCOMERS
    report.tell(
        f"{args.services} services, each with a model of its own",
        making_s=making.result(),
        all_measured_s=time.monotonic() - begin,
        wait_median_s=statistics.median(times),
        wait_longest_s=times[-1],
        newcomers_behind=[count for count, _ in busy],
        newcomers_s=[seconds for _, seconds in busy],
        newcomer_to_idle=statistics.median(seconds for _, seconds in busy) / statistics.median(idle),
        hub_calls=sum(fleet.hub_calls().values()) - calls,
        writes=dict(writes),
        writes_per_service=sum(writes.values()) / services,
        cpu_s=after["cpu_s"] - before["cpu_s"],
        cpu_ms_per_service=(after["cpu_s"] - before["cpu_s"]) / services * 1000,
        peak_mib=after["peak_mib"],
        rss_mib=after["rss_mib"],
        kib_per_modelpull=(after["rss_mib"] - before["rss_mib"]) / services * 1024,
    )
    expect("ModelPulls measured", sum(map(measured, found)), args.services)
    expect("failures published", sum(condition(item).get("status") == "False" for item in found), 0)
    expect("calls of the Hub", sum(fleet.hub_calls().values()) - calls, services)
    expect("models that the Hub was asked about more than once", max(fleet.hub_calls().values()), 1)

    begin, calls = time.monotonic(), sum(fleet.hub_calls().values())
    made = await fleet.make("same", ["hf://stub/model-same"] * args.identical)
    await until(lambda: fleet.metric("pullsizer_modelpulls") == services + _NEWCOMERS + args.identical)
    await fleet.settled()
    same = await fleet.model_pulls("same")
    calls = sum(fleet.hub_calls().values()) - calls
    report.tell(
        f"{args.identical} services with one model",
        making_s=made, all_measured_s=time.monotonic() - begin, hub_calls=calls, writes=dict(fleet.writes()),
    )  # fmt: skip
    expect("ModelPulls with one model measured", sum(map(measured, same)), args.identical)
    expect("calls of the Hub for one model", calls, 1)

    fleet.stop_controller()
    fleet.writes()
    total, calls, begin = services + _NEWCOMERS + args.identical, sum(fleet.hub_calls().values()), time.monotonic()
    fleet.start_controller()
    leads = time.monotonic() - begin
    await until(lambda: fleet.metric("pullsizer_modelpulls") == total)
    knows = time.monotonic() - begin
    await fleet.settled()
    calls, writes = sum(fleet.hub_calls().values()) - calls, fleet.writes()
    report.tell(
        "the controller restarted",
        leads_s=leads, knows_all_s=knows, hub_calls=calls, writes=dict(writes), **fleet.process(),
    )  # fmt: skip
    expect("calls of the Hub after the restart", calls, 0)
    expect("writes of ModelPulls after the restart", sum(n for what, n in writes.items() if "modelpulls" in what), 0)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
