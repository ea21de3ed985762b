"""The server: HTTP from the first moment, ready when the model is, and an end that loses no request."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import web

from classifier_runtime import logs, metrics, ui
from classifier_runtime.backends.base import Backend
from classifier_runtime.core.engine import Engine
from classifier_runtime.core.job import Instance, Result
from classifier_runtime.core.room import REQUESTS_AT_ONCE, Room
from classifier_runtime.core.service import Service
from classifier_runtime.core.serving import Facts, Limits, Serving, State
from classifier_runtime.errors import ModelRefused
from classifier_runtime.front import Front
from classifier_runtime.protocols import grpc, health, huggingface, openapi, v1, v2
from classifier_runtime.protocols.cloudevents import Naming
from classifier_runtime.protocols.http import Route
from classifier_runtime.settings import Settings
from classifier_runtime.tasks.base import Task

if TYPE_CHECKING:
    from classifier_runtime.spans import Tracer

log = logging.getLogger(__name__)

T = TypeVar("T")

FINISH_SECONDS: Final = 20.0
"""For what was taken, after the drain: with its 5 s and what follows, within a pod's 30 s to end."""
CLOSE_SECONDS: Final = 2.0
"""Of these, for writing answers: what has none by then is told so while there is time for it."""
TRACES_SECONDS: Final = 3.0
"""For the last traces, after that. A collector that does not answer is not waited for."""
SWITCH_SECONDS: Final = 0.001
"""After which a thread that computes gives the interpreter to the one that answers. Python's own is 5 ms, which every
probe could wait for; less than 1 ms costs a tenth of the requests of a model that does nothing."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model, warm.

    :param batch_tokens: the budget of a batch
    :param queue_tokens: that may wait
    :param about: for `classifier_model_info`
    """

    facts: Facts
    task: Task[Any]
    backend: Backend
    batch_tokens: int
    queue_tokens: int
    about: dict[str, str] = field(default_factory=dict)


class Server:
    """One process's.

    :param load: makes the model, in a thread; it may take minutes
    :param tracer: where requests are traced
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[Settings], Loaded],
        naming: Naming | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.settings = settings
        self._load = load
        self._tracer = tracer
        self.serving = Serving(
            settings.model_name,
            settings.options,
            Limits(settings.max_instances, settings.max_text_bytes, settings.request_timeout_seconds),
            offsets=settings.return_offsets_mapping,
            room=Room(REQUESTS_AT_ONCE * settings.max_request_bytes),
            observe=metrics.result if tracer is None else partial(_observed, tracer),
        )
        self._naming = naming or Naming()
        self._front = Front(
            self.serving,
            self._routes(),
            most_bytes=settings.max_request_bytes,
            body_seconds=settings.request_timeout_seconds,
            log_requests=settings.enable_latency_logging,
            traced=None if tracer is None else tracer.of_http,
        )
        self._runner = web.ServerRunner(self._front.server(settings.timeout_keep_alive), shutdown_timeout=CLOSE_SECONDS)
        self._engine: Engine | None = None
        self._service: Service | None = None
        self._grpc: grpc.Listening | None = None
        self._end = 0.0
        """When all answers have to be written, by the event loop's clock; 0 before the end has begun."""
        self.port = 0
        """Of HTTP, once started."""

    def _routes(self) -> Iterator[Route]:
        """All protocols', and pages where they are asked for."""
        yield from self._protocols()
        if self.settings.enable_docs_url:
            yield from openapi.routes(self.serving.name, self._protocols())
        if self.settings.enable_ui:
            yield from ui.routes()

    def _protocols(self) -> Iterator[Route]:
        yield from health.routes(self.serving)
        yield from v1.routes(self.serving, self._naming)
        yield from v2.routes(self.serving)
        yield from huggingface.routes(self.serving)
        yield from metrics.routes()

    async def start(self) -> None:
        """Listen. Live, and not ready."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.settings.host, self.settings.http_port, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]
        if self.settings.enable_grpc:
            self._grpc = await grpc.start(
                self.serving,
                f"{self.settings.host}:{self.settings.grpc_port}",
                most_bytes=self.settings.max_request_bytes,
                observe=_logged if self.settings.enable_latency_logging else metrics.request,
                interceptors=() if self._tracer is None else (self._tracer.interceptor(),),
            )
        ports = {"http_port": self.port, "grpc_port": self.grpc_port}
        log.info("listening", extra={**ports, "model": self.serving.name})

    async def load(self) -> None:
        """:raises ModelRefused: this model cannot be served"""
        began = time.perf_counter()
        loaded = await _beside(lambda: self._load(self.settings))
        engine = Engine(
            loaded.backend, budget=loaded.batch_tokens, queue_tokens=loaded.queue_tokens, observe=metrics.batch
        )
        engine.start()
        self._engine = engine
        self._service = Service(loaded.task, engine, threads=self.settings.tokenizer_threads)
        metrics.serving(loaded.facts.labels, self.serving, engine)
        metrics.MODEL.info({"name": self.serving.name, "task": loaded.facts.task, **loaded.about})
        self.serving.loaded(loaded.facts, self._service)
        seconds = time.perf_counter() - began
        metrics.LOAD_SECONDS.set(seconds)
        metrics.READY.set_function(lambda: self.serving.ready)
        log.info("ready", extra={"seconds": round(seconds, 3), **loaded.about})

    async def drain(self) -> None:
        """Not ready at once, and gone when everybody has an answer."""
        self.serving.state = State.LEAVING
        if self._engine is not None:
            await asyncio.sleep(self.settings.drain_seconds)
        self._end = asyncio.get_running_loop().time() + FINISH_SECONDS
        if left := await self.serving.finish(FINISH_SECONDS - CLOSE_SECONDS):
            log.warning("requests are left without an answer", extra={"requests": left})

    @property
    def grpc_port(self) -> int:
        """0 without gRPC."""
        return 0 if self._grpc is None else self._grpc.port

    async def close(self) -> None:
        seconds = max(self._end - asyncio.get_running_loop().time(), CLOSE_SECONDS)
        await asyncio.gather(self._close_http(seconds), *([] if self._grpc is None else [self._grpc.stop(seconds)]))
        if self._service is not None:
            self._service.close()
        if self._engine is not None:
            self._engine.close()
        if self._tracer is not None:
            await asyncio.wait((asyncio.ensure_future(_beside(self._tracer.close)),), timeout=TRACES_SECONDS)

    async def _close_http(self, seconds: float) -> None:
        """:param seconds: for answers to be written, which the runner would know from its start on only"""
        for site in self._runner.sites:
            await site.stop()
        if self._runner.server is not None:
            await self._runner.server.shutdown(seconds)
        await self._runner.cleanup()


def _observed(tracer: Tracer, instances: Sequence[Instance], result: Result) -> None:
    metrics.result(instances, result)
    tracer.result(instances, result)


def _logged(protocol: str, status: int, seconds: float) -> None:
    metrics.request(protocol, status, seconds)
    logs.request(protocol, status, seconds)


async def run(
    settings: Settings, load: Callable[[Settings], Loaded], naming: Naming, tracer: Tracer | None = None
) -> int:
    """Serve until told to end.

    :returns: the process's exit status
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(settings, load, naming, tracer)
    try:
        await server.start()
    except (OSError, RuntimeError) as error:  # RuntimeError is what grpc says of a port that it cannot have
        log.critical(
            "cannot listen: %s; is another server there? name other ports by --http_port and --grpc_port", error
        )
        await server.close()
        return 1
    stopped = asyncio.create_task(stop.wait())
    loading = asyncio.create_task(server.load())
    try:
        await asyncio.wait((stopped, loading), return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            loading.result()
            await stopped
        log.info("leaving", extra={"seconds": settings.drain_seconds})
        await server.drain()
    except ModelRefused as error:
        log.critical("%s", error)
        return 1
    finally:
        loading.cancel()
        stopped.cancel()
        await server.close()
    return 0


async def _beside(work: Callable[[], T]) -> T:
    """In a thread that does not keep the process from ending, as one of a pool's would."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # who waits for it may go; it is done nevertheless

    def target() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever awaits it gets it
            done.set_exception(error)

    threading.Thread(target=target, name="beside", daemon=True).start()
    return await asyncio.wrap_future(done)
