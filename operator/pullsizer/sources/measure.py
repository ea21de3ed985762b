"""The way in: one object that measures any source, within a time, through one door."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, NoReturn, Self

from pullsizer.model import MEASURABLE, NOT_PULLED, ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources import huggingface, web
from pullsizer.sources.addresses import EgressRules
from pullsizer.sources.client import Client
from pullsizer.sources.egress import Door
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.resolve import Resolver
from pullsizer.sources.tls import make_context
from pullsizer.sources.upstream import Upstream
from pullsizer.suggest import nearest

_NOT_YET: Final = frozenset({"azure", "gs", "hdfs", "modelscope", "oci", "s3", "webhdfs", "git"})
"""Schemes that KServe downloads and nobody measures."""
_KNOWN: Final = MEASURABLE | NOT_PULLED | _NOT_YET
_MOST_PATTERNS: Final = 1024
_LONGEST_PATTERNS: Final = 64 << 10
"""Characters of all patterns together. Each is held against each file, 50,000 of them at most, in a thread that all
namespaces share and that nobody can stop: more would be somebody's way to hold the others up."""


class Measurer:
    """Measures models. An async context manager; one for the process.

    The rules of one policy are in force at a time: a call with others replaces those of the calls before it.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, resolver: Resolver | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._tls = make_context(environ)
        self._door = Door(upstream=Upstream.of(environ), resolver=resolver, tls=self._tls)
        self._client = Client(self._door, self._tls)
        self._rules: SourceRules | None = None
        self._hub_room = asyncio.Semaphore(huggingface.CALLS)
        self._web_room = asyncio.Semaphore(web.CALLS)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._door)
            await stack.enter_async_context(self._client)
            self._hub = huggingface.HuggingFace(self._client)
            stack.push_async_callback(self._hub.close)
            self._web = web.Web(self._client)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def measure(self, source: Source, *, token: str | None = None, rules: SourceRules) -> ModelFacts:
        """How big the model is.

        :param token: for the Hub; never sent to any other server
        :raises MeasureError: why that is not known; `rules.timeout` after its turn came at the latest
        """
        async with self._bounded(source, rules):
            if source.scheme == "hf":
                return await self._hub.measure(source, rules.hugging_face.endpoint, token)
            return await self._web.measure(source.uri)

    async def unchanged(
        self, source: Source, facts: ModelFacts, *, token: str | None = None, rules: SourceRules
    ) -> bool:
        """Whether what was measured is still what there is; asks less than measuring again would.

        :raises MeasureError: as `measure`
        """
        async with self._bounded(source, rules):
            if source.scheme == "hf":
                return await self._hub.unchanged(source, facts, rules.hugging_face.endpoint, token)
            return await self._web.measure(source.uri) == facts

    @asynccontextmanager
    async def _bounded(self, source: Source, rules: SourceRules) -> AsyncIterator[None]:
        if not source.measurable:
            _refuse(source)
        _check_patterns(source)
        if rules is not self._rules:
            self._door.replace(EgressRules.of(rules))
            self._rules = rules
        # Time counts from here: after a restart there may be thousands to measure, and waiting is not their fault.
        async with self._hub_room if source.scheme == "hf" else self._web_room:
            try:
                async with asyncio.timeout(rules.timeout):
                    yield
            except TimeoutError:
                raise failure(
                    "Timeout", f"{shown(source.public_uri)} was not measured within {rules.timeout:g} seconds"
                ) from None


def _check_patterns(source: Source) -> None:
    patterns = source.allow + source.ignore
    if len(patterns) > _MOST_PATTERNS or sum(map(len, patterns)) > _LONGEST_PATTERNS:
        raise failure(
            "UnsupportedSource",
            f"it has more than {_MOST_PATTERNS} allow and ignore patterns, or more than {_LONGEST_PATTERNS >> 10} KiB "
            "of them; write fewer, or the model's size into the annotation pullsizer.dev/model-size",
        )


def _refuse(source: Source) -> NoReturn:
    """Raises why a source cannot be measured, by its scheme."""
    scheme = source.scheme
    if not scheme:
        raise failure(
            "InvalidURI", f"{shown(source.public_uri)} is not a URI; write it as hf://owner/model or https://host/file"
        )
    if scheme in NOT_PULLED:
        raise failure("NothingToPull", f"{scheme}:// is mounted, not downloaded: there is nothing to size")
    if scheme in _NOT_YET:
        raise failure(
            "UnsupportedSource",
            f"{scheme}:// is not measured yet; write the model's size into the annotation pullsizer.dev/model-size",
        )
    raise failure("UnknownScheme", f"{shown(scheme)} is no scheme that models are pulled from{nearest(scheme, _KNOWN)}")
