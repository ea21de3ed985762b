"""Leadership by a Lease: of all controllers that run, one works.

The protocol is the official client's (`kubernetes.aio.leaderelection`); what is covered here are its gaps:

- it lets every error but ApiException escape, and a call without an answer may take five minutes;
- it creates no Lease at all: its `pretty=True` is refused by its own generated code (37.0.2);
- it writes local time as UTC;
- it goes on for ten seconds after it saw that another one holds the Lease;
- it does not let go at the end, so that the next one waits for the Lease to run out.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from kubernetes.aio.client import V1Lease, V1ObjectMeta
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from pullsizer.cluster.client import KubeApi
from pullsizer.errors import ClusterError

log = logging.getLogger(__name__)

# As client-go's own components: two renewals may fail before the third is too late.
DURATION: Final = 15
RENEW: Final = 10.0
RETRY: Final = 2.0
_CALL: Final = 4.0
"""Seconds for one call: two of them and the pause between still end before `RENEW`."""


class Leadership:
    """One candidate. `acquire`, then work while `keep` does not return, then `release`.

    :param identity: of this process; no other may have it
    """

    def __init__(self, api: KubeApi, *, namespace: str, name: str, identity: str) -> None:
        self.identity = identity
        self._api = api
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"
        self._lock = _Lock(name, namespace, identity, api.client)
        self._election = LeaderElection(
            Config(
                self._lock,
                lease_duration=DURATION,
                renew_deadline=RENEW,
                retry_period=RETRY,
                onstarted_leading=_nothing,
                onstopped_leading=None,
            )
        )

    async def acquire(self) -> None:
        """Returns once the Lease is ours."""
        await self._election.acquire()
        self._lock.held = True

    async def keep(self) -> None:
        """Returns when the Lease is lost; renews it until then."""
        try:
            await self._election.renew_loop()
        except _TakenError as error:
            log.warning("lease taken holder=%s", error)
        finally:
            self._lock.held = False

    async def release(self) -> None:
        """Lets go, so that the next one need not wait. Never raises: at the end nothing can be done about it."""
        self._lock.held = False
        try:
            async with asyncio.timeout(_CALL):
                lease = await self._api.get(self._path)
                if lease["spec"].get("holderIdentity") == self.identity:
                    version = lease["metadata"]["resourceVersion"]
                    await self._api.patch(
                        self._path, {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
                    )
        except (ClusterError, TimeoutError, KeyError) as error:
            log.warning("lease not released error=%s", error)


class _TakenError(Exception):
    """The Lease was ours and is another's."""


class _Lock(LeaseLock):  # type: ignore[misc]
    held = False

    async def get(self, name: str, namespace: str) -> tuple[bool, Any]:
        try:
            async with asyncio.timeout(_CALL):
                found: tuple[bool, Any] = await super().get(name, namespace)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return False, ApiException(status=0, reason=type(error).__name__)
        done, record = found
        if done and self.held and record.holder_identity != self.identity:
            raise _TakenError(record.holder_identity)
        return found

    async def create(self, name: str, namespace: str, election_record: Any) -> bool:
        try:
            async with asyncio.timeout(_CALL):
                lease = V1Lease(metadata=V1ObjectMeta(name=name), spec=self.update_lease(election_record))
                await self.api_instance.create_namespaced_lease(namespace, lease)
        except (ApiException, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("lease not created error=%s", getattr(error, "reason", None) or type(error).__name__)
            return False
        return True

    async def update(self, name: str, namespace: str, updated_record: Any) -> bool:
        try:
            async with asyncio.timeout(_CALL):
                return bool(await super().update(name, namespace, updated_record))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("lease not renewed error=%s", type(error).__name__)
            return False

    def election_record(self, lease: Any) -> Any:
        """The elector's times are local ones without a zone; what a Lease says is UTC."""
        record = super().election_record(lease)
        for name in ("acquire_time", "renew_time"):
            moment = getattr(lease.spec, name)
            if moment is not None:
                setattr(record, name, str(moment.astimezone().replace(tzinfo=None)))
        return record

    def time_str_to_iso(self, str_time: str) -> str:
        """The way back. Kubernetes wants microseconds, and the elector's text has none where they are zero."""
        return datetime.fromisoformat(str_time).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def _nothing() -> None:
    """Config insists on something to start."""
