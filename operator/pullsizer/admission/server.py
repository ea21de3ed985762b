"""The webhook's HTTP: `/mutate-pods` and `/validate` over TLS, probes, metrics, and a drain at the end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pullsizer.admission import metrics
from pullsizer.admission.caches import Caches
from pullsizer.admission.foresee import foresee
from pullsizer.admission.mutate import Mutator, failed_open
from pullsizer.admission.review import MAXIMUM_BODY, Request, allow, decode, deny
from pullsizer.admission.validate import VALIDATED, validate
from pullsizer.admission.waiting import Waiters
from pullsizer.errors import InvalidReview

_log = logging.getLogger(__name__)
_JSON: Final = {"Content-Type": "application/json"}
_MUTATE_SECONDS: Final = metrics.SECONDS.labels("/mutate-pods")
_VALIDATE_SECONDS: Final = metrics.SECONDS.labels("/validate")


class WebhookServer:
    """The handlers. What they answer is decided elsewhere; here it is seen that they always answer.

    :param ready: whether the certificate is loaded and the caches are filled, or what is missing
    """

    def __init__(
        self,
        caches: Caches,
        waiters: Waiters,
        *,
        namespace: str,
        kserve_namespace: str,
        missing: Callable[[], list[str]],
    ) -> None:
        self._caches = caches
        self._mutator = Mutator(caches, waiters)
        self._namespace = namespace
        self._kserve_namespace = kserve_namespace
        self._missing = missing
        self.draining = False
        self._routes = {
            "/mutate-pods": ("POST", self.mutate_pods),
            "/validate": ("POST", self.validate),
            "/livez": ("GET", self.livez),
            "/readyz": ("GET", self.readyz),
        }

    def reviews(self, keepalive_timeout: float) -> web.Server:
        """Served over TLS, to the API server. No Application: its router takes longer than the rest of us."""
        return web.Server(
            self._routed, request_factory=_base_request, access_log=None, keepalive_timeout=keepalive_timeout
        )

    async def _routed(self, http: web.BaseRequest) -> web.Response:
        route = self._routes.get(http.path)
        if route is None:
            return web.Response(status=404, text=f"there are {', '.join(self._routes)}")
        method, handle = route
        if http.method != method:
            return web.Response(status=405, headers={"Allow": method}, text=f"send a {method}")
        return await handle(http)

    def metrics_application(self) -> web.Application:
        """Served in plain HTTP, to Prometheus and the kubelet."""
        app = web.Application()
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/readyz", self.readyz)
        return app

    async def mutate_pods(self, http: web.BaseRequest) -> web.Response:
        request = await _request(http)
        if isinstance(request, web.Response):
            return request
        begin = time.perf_counter()
        body = await self._mutated(request)
        _MUTATE_SECONDS.observe(time.perf_counter() - begin)
        return web.Response(body=body, headers=_JSON)

    async def _mutated(self, request: Request) -> bytes:
        if request.kind != "Pod" or request.operation != "CREATE":
            return allow(request)
        try:
            return allow(request, await self._mutator.operations(request))
        except Exception:  # noqa: BLE001 - whatever it is: no answer, or another one, could reject the pod
            failed_open()
            metadata = request.object.get("metadata")
            name = metadata.get("generateName") if isinstance(metadata, dict) else None
            _log.exception("failed open", extra={"namespace": request.namespace, "pod": name})
            return allow(request)

    async def validate(self, http: web.BaseRequest) -> web.Response:
        request = await _request(http)
        if isinstance(request, web.Response):
            return request
        begin = time.perf_counter()
        try:
            verdict = validate(request, self._namespace, self._kserve_namespace)
            warnings = verdict.warnings if verdict.denied else (*verdict.warnings, *foresee(request, self._caches))
        except Exception:  # noqa: BLE001 - as above
            _count(request, "failed_open")
            _log.exception("validation failed open", extra={"namespace": request.namespace, "kind": request.kind})
            return web.Response(body=allow(request), headers=_JSON)
        body = deny(request, verdict.denied, warnings) if verdict.denied else allow(request, warnings=warnings)
        _count(request, "denied" if verdict.denied else "allowed")
        _VALIDATE_SECONDS.observe(time.perf_counter() - begin)
        return web.Response(body=body, headers=_JSON)

    async def livez(self, _: web.BaseRequest) -> web.Response:
        return web.Response(text="ok")

    async def readyz(self, _: web.BaseRequest) -> web.Response:
        missing = ["draining"] if self.draining else self._missing()
        metrics.READY.set(not missing)
        if missing:
            return web.Response(status=503, body=orjson.dumps({"missing": missing}), headers=_JSON)
        return web.Response(text="ok")

    async def metrics(self, _: web.BaseRequest) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _base_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """As aiohttp makes one, but for the size."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAXIMUM_BODY)


async def _request(http: web.BaseRequest) -> Request | web.Response:
    """The review in a request, or the answer to what is none."""
    try:
        return decode(await http.read())
    except InvalidReview as error:
        metrics.BAD_REQUESTS.labels("invalid").inc()
        return web.Response(status=400, text=str(error))
    except web.HTTPRequestEntityTooLarge:
        metrics.BAD_REQUESTS.labels("too_large").inc()
        return web.Response(status=413, text=f"the body is larger than {MAXIMUM_BODY} bytes")


def _count(request: Request, answer: str) -> None:
    kind = request.kind if request.kind in VALIDATED else "other"
    metrics.VALIDATIONS.labels(kind, answer).inc()
