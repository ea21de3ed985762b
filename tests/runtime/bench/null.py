"""What HTTP itself costs: V1 requests a second with a model that does nothing, of ours and of others in the same run.

    PYTHONPATH=runtime:. python -m tests.runtime.bench.null [--connections 16] [--seconds 2] [--rounds 5]

`front` has no model behind its protocols, as KServe's null model; `engine` goes all the way through a task, threads,
batches and a backend that each do nothing. Every server is a process of its own and is asked in turns by one client.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np
import orjson
import uvloop
from aiohttp import web

from tests.bench import load

BODY: Final = orjson.dumps({"instances": ["a text of eight words, as they are classified"]})
SERVERS: Final = ("echo", "front", "engine", "kserve")
PATH: Final = "/v1/models/model:predict"


async def _echo() -> None:
    async def handle(http: web.BaseRequest) -> web.Response:
        body = orjson.loads(await http.read())
        answer = orjson.dumps({"predictions": [1 for _ in body["instances"]]})
        return web.Response(body=answer, content_type="application/json")

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def _ours(kind: str) -> None:
    from classifier_runtime.core.job import Classified, Item, Result
    from classifier_runtime.core.labels import Labels
    from classifier_runtime.core.serving import Facts
    from classifier_runtime.server import SWITCH_SECONDS, Loaded, Server
    from classifier_runtime.settings import Settings
    from classifier_runtime.tasks.base import Encoded

    logits = np.zeros(2, np.float32)
    outcome = Classified(1, (), logits, logits)
    item = Item({"input_ids": np.zeros(8, np.int64)}, 8)

    class Nothing:
        """A task, a backend, and a service."""

        name, device, classes = "nothing", "cpu", 2

        def check(self, instance: object) -> None: ...

        def encode(self, instances: Sequence[object], go_on: object = None) -> Encoded[None]:
            return Encoded([item] * len(instances), None)

        def decode(self, instances: Sequence[object], encoded: object, rows: object) -> list[Classified]:
            return [outcome] * len(instances)

        def forward(self, items: Sequence[Item]) -> list[Any]:
            return [logits] * len(items)

        def cost(self, items: int, longest: int, tokens: int) -> int:
            return items * longest

        async def classify(self, instances: Sequence[object]) -> Result:
            return Result([outcome] * len(instances))

        async def beside(self, work: Callable[[], Any]) -> Any:
            return work()

    nothing = Nothing()
    facts = Facts("text-classification", Labels(("A", "B"), "named"))
    sys.setswitchinterval(SWITCH_SECONDS)
    settings = Settings(host="127.0.0.1", http_port=0, enable_grpc=False)
    server = Server(settings, lambda _: Loaded(facts, nothing, nothing, 512, 10**9))
    await server.start()
    await server.load()
    if kind == "front":
        server.serving.loaded(facts, nothing)
    print(server.port, flush=True)
    await asyncio.Event().wait()


def _kserve() -> None:
    import socket

    import kserve

    class Null(kserve.Model):  # type: ignore[misc]
        def predict(self, payload: Any, *_: Any, **__: Any) -> Any:
            return {"predictions": [1 for _ in payload["instances"]]}

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = Null("model")
    model.ready = True
    print(port, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # it logs each request there
    kserve.ModelServer(http_port=port, enable_grpc=False, enable_latency_logging=False).start([model])


@contextmanager
def _started(kind: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.runtime.bench.null", "--serve", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}{PATH}"
        finally:
            process.kill()


async def _rate(url: str, connections: int, seconds: float) -> float:
    for _ in range(200):
        try:
            opened = [await load.Connection.open(url, None) for _ in range(connections)]
            break
        except OSError:
            await asyncio.sleep(0.1)
    requests = itertools.repeat(load.request("POST", url, BODY))
    burst = await load.burst(opened, requests, seconds, _check)
    for connection in opened:
        connection.close()
    return len(burst.seconds) / burst.wall


def _check(body: bytes) -> None:
    if orjson.loads(body) != {"predictions": [1]}:
        raise load.LoadError(f"not what is expected: {body[:100]!r}")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=SERVERS)
    parser.add_argument("--servers", nargs="*", default=SERVERS)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(argv)
    if asked.serve == "kserve":
        sys.argv = sys.argv[:1]
        _kserve()
        return
    if asked.serve:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_echo() if asked.serve == "echo" else _ours(asked.serve))
        return
    rates = compared(asked.servers, asked.connections, asked.rounds, asked.seconds)
    for kind, found in rates.items():
        ratios = _ratios(found, rates[asked.servers[0]])
        print(
            f"{kind:8} {statistics.median(found):8.0f} req/s (best {max(found):.0f})   "
            f"x {statistics.median(ratios):.2f} of {asked.servers[0]}"
        )


def compared(
    servers: Sequence[str] = SERVERS, connections: int = 16, rounds: int = 5, seconds: float = 2.0
) -> dict[str, list[float]]:
    """Requests a second of each, round by round."""
    with ExitStack() as stack:
        urls = {kind: stack.enter_context(_started(kind)) for kind in servers}
        rates: dict[str, list[float]] = {kind: [] for kind in urls}
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            for turn in range(rounds + 1):
                for kind, url in urls.items():
                    rate = runner.run(_rate(url, connections, seconds if turn else 0.5))
                    if turn:  # the first is for warming up
                        rates[kind].append(rate)
    return rates


def over_kserve(rounds: int, seconds: float) -> tuple[dict[str, float], float]:
    """Medians, and the median ratio of ours, all the way through, to KServe's."""
    rates = compared(("engine", "front", "kserve"), rounds=rounds, seconds=seconds)
    medians = {kind: statistics.median(found) for kind, found in rates.items()}
    return medians, statistics.median(_ratios(rates["engine"], rates["kserve"]))


def _ratios(found: Sequence[float], base: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(found, base, strict=True)]


if __name__ == "__main__":
    main(sys.argv[1:])
