"""Measuring at work, on a Hub that answers as a test says, with credentials that it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from pullsizer.account import NOBODY, Account
from pullsizer.controller.credentials import Found, endpoint_mark, may_use
from pullsizer.controller.measuring import Measuring
from pullsizer.controller.questions import Waiter
from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.modelpull import Measurement
from pullsizer.policy import Policy, SourceRules
from pullsizer.sources.access import STRANGER, Access
from tests.unit.controller.examples import Hub

BERT = Source("hf://org/bert")


class World:
    def __init__(self, hub: Hub, concurrency: int) -> None:
        self.now = 1_000_000.0
        self.told: list[Waiter] = []
        self.secrets: dict[Account, Access | MeasureError] = {NOBODY: Access("models/uid/7", {"HF_TOKEN": "hf_token"})}
        self.endpoint = ""
        self.measuring = Measuring(
            hub, concurrency=concurrency, find=self._find, answered=self.told.append, clock=lambda: self.now
        )

    async def _find(self, source: Source, namespace: str, account: Account, rules: SourceRules) -> Found:
        if self.endpoint and not source.endpoint:
            source = replace(source, endpoint=self.endpoint)
        mark = endpoint_mark(source.endpoint)
        found: Access | MeasureError = Access(f"{namespace}/{mark}") if mark else STRANGER
        if may_use(source, namespace, rules):
            found = self.secrets.get(account, found)
        if isinstance(found, MeasureError):
            raise found
        if mark not in found.scope:
            found = replace(found, scope=found.scope + mark)
        return Found(found, source, MeasureError("NoCredentials", "nothing to ask with", 900))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.001)

    async def answer(self, namespace: str = "models", source: Source = BERT, account: Account = NOBODY) -> Measurement:
        await self.until(lambda: self.measuring.answer(namespace, source, account))
        found = self.measuring.answer(namespace, source, account)
        assert found is not None
        return found


@asynccontextmanager
async def world(hub: Hub, concurrency: int = 8, policy: Policy | None = None) -> AsyncGenerator[World, None]:
    found = World(hub, concurrency)
    found.measuring.set_policy(policy or Policy())
    task = asyncio.create_task(found.measuring.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
