"""A thin client for the API server that speaks plain JSON.

The official asyncio client does what must not be written twice: kubeconfig and in-cluster configuration, token refresh,
TLS. Its typed models are left out: they drop fields that they do not know, and cost more than all the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
from kubernetes.aio import client, config

from pullsizer.cluster.answers import describe, raise_for_status, seconds
from pullsizer.cluster.kubeconfig import read_kubeconfig
from pullsizer.errors import ClusterError

log = logging.getLogger(__name__)

Object = dict[str, Any]

APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML
MERGE: Final = "application/merge-patch+json"
JSON: Final = "application/json"

_TIMEOUT: Final = 30.0
"""Seconds for one request. The API server itself gives up on most after 60."""
_CONNECT: Final = 10.0
_PAGE: Final = 500  # as client-go
_BUSY: Final = frozenset({429, 503})
_TRIES: Final = 3


class KubeApi:
    """The API server. Paths are those of its REST interface: `/api/v1/namespaces/models/pods`.

    Every failure is a ClusterError, a missing object NotFound.
    """

    def __init__(self, configuration: client.Configuration) -> None:
        self._api = client.ApiClient(configuration)
        self._api.user_agent = "pullsizer"

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None) -> Self:
        """By a kubeconfig, or else as the pod's own ServiceAccount. Asks the API server nothing yet.

        :param kubeconfig: several with colons between them, as `$KUBECONFIG` has them
        :raises ClusterError: where there is neither
        """
        configuration = client.Configuration()
        try:
            if kubeconfig is not None:
                found = await asyncio.to_thread(read_kubeconfig, kubeconfig)
                await config.load_kube_config(
                    found.paths, context=found.context, client_configuration=configuration, persist_config=False
                )
            else:
                config.load_incluster_config(client_configuration=configuration)
        except (config.ConfigException, OSError) as error:
            raise ClusterError(0, f"no way to reach a cluster: {error}") from error
        return cls(configuration)

    @property
    def client(self) -> client.ApiClient:
        """The official client underneath, for its leader election."""
        return self._api

    async def credentials(self) -> dict[str, Any]:
        """How to reach the API server, for other clients: as kopf's ConnectionInfo names it."""
        configuration = self._api.configuration
        header = await configuration.get_api_key_with_prefix("BearerToken") or ""
        return {
            "server": configuration.host,
            "ca_path": configuration.ssl_ca_cert,
            "ca_data": configuration.ca_cert_data,
            "insecure": not configuration.verify_ssl,
            "token": header.split(" ", 1)[-1] or None,
            "scheme": "Bearer" if header else None,
            "certificate_path": configuration.cert_file,
            "private_key_path": configuration.key_file,
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._api.close()

    async def get(self, path: str) -> Object:
        return await self._call("GET", path)

    async def list(self, path: str, *, label_selector: str = "", field_selector: str = "") -> Object:
        """All items, page by page, as one list with the resourceVersion to watch from.

        The items of a list have no apiVersion and kind of their own; here they do, as everywhere else.
        """
        query = {"limit": str(_PAGE), "labelSelector": label_selector, "fieldSelector": field_selector}
        whole = await self._call("GET", path, query)
        page = whole
        while token := (page.get("metadata") or {}).get("continue"):
            page = await self._call("GET", path, {**query, "continue": token})
            whole["items"].extend(page.get("items") or ())
            whole["metadata"] = page["metadata"]
        kind = str(whole.get("kind", "")).removesuffix("List")
        items = whole["items"] = whole.get("items") or []
        for item in items:
            item.setdefault("apiVersion", whole.get("apiVersion", ""))
            item.setdefault("kind", kind)
        return whole

    async def items(self, path: str) -> AsyncGenerator[Object, None]:
        """Items of a list, of which never more than a page is in memory."""
        query = {"limit": str(_PAGE)}
        while True:
            page = await self._call("GET", path, query)
            for item in page.get("items") or ():
                yield item
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    async def create(self, path: str, body: Mapping[str, Any]) -> Object:
        return await self._call("POST", path, body=body)

    async def apply(self, path: str, body: Mapping[str, Any], *, field_manager: str, subresource: str = "") -> Object:
        """Server-side apply. Ours are the fields that we name, so conflicts are decided for us (`force`)."""
        target = f"{path}/{subresource}" if subresource else path
        return await self._call(
            "PATCH", target, {"fieldManager": field_manager, "force": "true"}, body=body, content_type=APPLY
        )

    async def patch(self, path: str, body: Mapping[str, Any], *, content_type: str = MERGE) -> Object:
        return await self._call("PATCH", path, body=body, content_type=content_type)

    async def delete(self, path: str, *, uid: str = "") -> None:
        """Deletes; with `uid` only that very object, not one of the same name that came after it."""
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        await self._call("DELETE", path, body=body)

    async def watch(
        self,
        path: str,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 290,
        inactivity: float = 100,
        opened: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[Object, None]:
        """Events as the API server sends them, `BOOKMARK` and `ERROR` too, until it ends the watch or falls silent.

        :param timeout_seconds: after which the server ends it
        :param inactivity: seconds without a byte after which the connection may be dead, and is ended
        :param opened: called once the server took the request
        :raises ClusterError: also where the connection broke
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
        }
        timeout = aiohttp.ClientTimeout(total=timeout_seconds + inactivity, sock_connect=_CONNECT, sock_read=inactivity)
        response = await self._send("GET", path, query, timeout=timeout)
        try:
            await raise_for_status(response)
            opened()
            pieces: list[bytes] = []
            # Not readline(): it fails on lines above its buffer's size, and a Secret or CRD can be larger.
            async for chunk in response.content.iter_any():
                head, *lines = chunk.split(b"\n")
                pieces.append(head)
                for line in lines:
                    whole = b"".join(pieces)
                    pieces = [line]
                    if whole.strip():
                        yield orjson.loads(whole)
        except TimeoutError:
            # Not all resources get bookmarks. Whether the connection is dead, the next watch will show.
            log.debug("watch silent path=%s", path)
        except (aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            raise ClusterError(0, f"watch ended: {describe(error)}") from error
        finally:
            response.close()

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
    ) -> Object:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT, sock_connect=_CONNECT)
        for left in reversed(range(_TRIES)):
            response = await self._send(
                method, path, query or {}, body=body, content_type=content_type, timeout=timeout
            )
            try:
                if response.status in _BUSY and left and "Retry-After" in response.headers:
                    await asyncio.sleep(seconds(response.headers["Retry-After"]))
                    continue
                await raise_for_status(response)
                answer: Object = orjson.loads(await response.read() or b"{}")
            except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError) as error:
                raise ClusterError(0, f"{method} {path}: {describe(error)}") from error
            else:
                return answer
            finally:
                response.release()
        raise AssertionError

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, which also knows of silence between bytes
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
    ) -> aiohttp.ClientResponse:
        try:
            # Without the body: it would be copied through the client's idea of what JSON is.
            _, url, headers, _, _ = await self._api.param_serialize(
                method,
                path,
                query_params=[(name, value) for name, value in query.items() if value],
                header_params={"Accept": JSON, "Content-Type": content_type},
                auth_settings=["BearerToken"],
            )
            answer = await self._api.call_api(method, url, headers, body=body, _request_timeout=timeout)
        except (aiohttp.ClientError, TimeoutError, OSError, config.ConfigException) as error:
            raise ClusterError(0, f"{method} {path}: {describe(error)}") from error
        response: aiohttp.ClientResponse = answer.response
        return response
