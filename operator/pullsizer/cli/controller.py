"""`pullsizer controller`: stands by until the Lease is its own, works while it is, and lets go at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from pullsizer.cluster import KubeApi, Leadership
from pullsizer.cluster.discovery import served_versions
from pullsizer.controller import health
from pullsizer.controller.app import Controller
from pullsizer.controller.metrics import LEADER
from pullsizer.errors import ClusterError
from pullsizer.handlers import PLURALS, watch_services
from pullsizer.names import KSERVE_GROUP, LEASE
from pullsizer.settings import ControllerSettings
from pullsizer.sources.measure import Measurer

log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 15.0
"""Seconds between looks at which resources KServe serves: what was installed just now is watched soon."""
_FAREWELL: Final = 5.0
"""Seconds for what runs to end: the pod has 20 in all."""


async def run(settings: ControllerSettings) -> int:
    """Until SIGTERM or SIGINT: 0. Not 0: the Lease was lost, or the work failed; to start anew is the remedy."""
    stop = asyncio.Event()
    _take_signals(stop)
    # In a pod the same after a restart of the container: it need not wait for a Lease that is its own.
    identity = settings.identity or f"{socket.gethostname()}-{os.getpid()}"
    leading = False
    async with await KubeApi.connect(settings.kubeconfig) as api, Measurer() as measurer:
        controller = Controller(api, measurer, settings, identity)
        leadership = Leadership(api, namespace=settings.namespace, name=LEASE, identity=identity)

        def waiting() -> list[str]:
            return controller.waiting() if leading else []

        async with _probes(settings, waiting):
            log.info("standing by namespace=%s identity=%s", settings.namespace, identity)
            if not await _unless(stop, leadership.acquire()):
                return 0
            leading = True
            LEADER.set(1)
            log.info("leading identity=%s", identity)
            try:
                return await _lead(controller, leadership, api, stop)
            finally:
                LEADER.set(0)
                await leadership.release()


async def _lead(controller: Controller, leadership: Leadership, api: KubeApi, stop: asyncio.Event) -> int:
    stopped = asyncio.create_task(stop.wait(), name="stop")
    lease = asyncio.create_task(leadership.keep(), name="lease")
    work = asyncio.create_task(controller.run(), name="work")
    kopf = asyncio.create_task(_watch(controller, api, stop), name="services")
    tasks = {stopped, lease, work, kopf}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_FAREWELL)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("stopping task=%s", task.get_name(), exc_info=error)
            return 1
    if lease in done:
        log.error("stopping: the lease is lost")
        return 1
    if stopped in done:
        log.info("stopping: asked to")
        return 0
    log.info("stopping: KServe serves other resources now")
    return 1


async def _watch(controller: Controller, api: KubeApi, stop: asyncio.Event) -> None:
    """Returns when KServe came with other resources: to start anew is the safe way to watch those.

    kopf cannot be started twice in a process: at its end it cancels every task that began after it.
    """
    await controller.wait_ready()
    while True:
        versions = await _served(api, {})
        if versions:
            break
        await asyncio.sleep(_LOOK_EVERY)
    started = asyncio.Event()
    kopf = asyncio.create_task(watch_services(controller, api, versions, started), name="kopf")
    begun = asyncio.create_task(started.wait())
    try:
        await asyncio.wait({kopf, begun}, return_when=asyncio.FIRST_COMPLETED)
        _take_signals(stop)
        while not kopf.done() and await _served(api, versions) == versions:
            await asyncio.wait({kopf}, timeout=_LOOK_EVERY)
        if kopf.done():
            kopf.result()
    finally:
        begun.cancel()
        kopf.cancel()
        await asyncio.wait({kopf}, timeout=_FAREWELL)


async def _served(api: KubeApi, otherwise: dict[str, str]) -> dict[str, str]:
    try:
        return await served_versions(api, KSERVE_GROUP, PLURALS)
    except ClusterError as error:
        log.warning("KServe's resources not looked up error=%s", error)
        return otherwise


def _take_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether the work was done before somebody asked to stop."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        task.result()
        return not stop.is_set()
    task.cancel()
    return False


@asynccontextmanager
async def _probes(settings: ControllerSettings, waiting: Callable[[], list[str]]) -> AsyncGenerator[None, None]:
    runner = web.AppRunner(health.application(waiting), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.metrics_port)
        await site.start()
        log.info("probes and metrics served host=%s port=%s", settings.host, runner.addresses[0][1])
        yield
    finally:
        await runner.cleanup()
