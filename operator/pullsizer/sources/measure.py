"""The way in: one object that measures any source, within a time, through one door."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, NoReturn, Protocol, Self

from pullsizer.model import NOT_PULLED, SCHEMES, ModelFacts, Source, Store
from pullsizer.policy import SourceRules
from pullsizer.quantity import MOST_BYTES, MOST_FILES
from pullsizer.sources.access import STRANGER, Access
from pullsizer.sources.addresses import EgressRules
from pullsizer.sources.azure_blob import AzureBlob
from pullsizer.sources.azure_files import AzureFiles
from pullsizer.sources.client import Client
from pullsizer.sources.egress import Door
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.git import Git
from pullsizer.sources.google_storage import GoogleStorage
from pullsizer.sources.hdfs import Hdfs
from pullsizer.sources.huggingface import HuggingFace
from pullsizer.sources.manners import Manners
from pullsizer.sources.modelscope import ModelScope
from pullsizer.sources.objects import Objects
from pullsizer.sources.oci import Oci
from pullsizer.sources.resolve import Resolver
from pullsizer.sources.s3 import S3
from pullsizer.sources.tls import make_context, read_bundle
from pullsizer.sources.upstream import Upstream
from pullsizer.sources.web import Web
from pullsizer.suggest import nearest

_MOST_PATTERNS: Final = 1024
_LONGEST_PATTERNS: Final = 64 << 10
"""Characters of all patterns together. Each is held against each file, 50,000 of them at most, in a thread that all
namespaces share and that nobody can stop: more would be somebody's way to hold the others up."""
_LONGEST_PATTERN: Final = 1024
_MOST_WILDCARDS: Final = 64
"""In one pattern. So a compiled one has at most some 25 KiB: Python keeps the latest 512, a dozen MiB of the worst."""
_MOST_WILDCARDS_OF_ALL: Final = 1024
"""Some 4 s to compile, where each is a bracket of many alphabets; 0.1 s where each is a star."""


class StoreClient(Protocol):
    """Asks one kind of store."""

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        """Who will be asked, for counting questions by host.

        :raises MeasureError: InvalidURI and the like: nobody needs to be asked
        """
        ...

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        """How big the model is.

        :raises MeasureError: why that is not known
        """
        ...

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        """Whether what was measured is still what there is.

        :raises MeasureError: why that is not known
        """
        ...


class Measurer:
    """Measures models. An async context manager; one for the process.

    The rules of one policy are in force at a time: a call with others replaces those of the calls before it.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, resolver: Resolver | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._tls = make_context(environ)
        self._door = Door(upstream=Upstream.of(environ), resolver=resolver, tls=self._tls)
        self._client = Client(self._door, self._tls)
        self._objects = Objects(self._door, read_bundle(environ))
        self._rules: SourceRules | None = None
        self._manners = Manners()
        self._stores: dict[Store, StoreClient] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._door)
            await stack.enter_async_context(self._client)
            hub = HuggingFace(self._client)
            stack.push_async_callback(hub.close)
            self._stores = {"hf": hub, "http": Web(self._client), "git": Git(self._client)}
            self._stores["modelscope"] = ModelScope(self._client)
            self._stores["hdfs"] = Hdfs(self._client)
            self._stores["azure-file"] = AzureFiles(self._client)
            self._stores["s3"] = S3(self._objects, self._client)
            self._stores["gs"] = GoogleStorage(self._objects)
            self._stores["azure"] = AzureBlob(self._objects)
            self._stores["oci"] = Oci(self._client)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def measure(self, source: Source, *, access: Access = STRANGER, rules: SourceRules) -> ModelFacts:
        """How big the model is.

        :param access: never used for any other server than the source's own
        :raises MeasureError: why that is not known; `rules.timeout` after its turn came at the latest
        """
        async with self._turn(source, access, rules) as store:
            return _possible(await store.measure(source, access, rules), source)

    async def unchanged(
        self, source: Source, facts: ModelFacts, *, access: Access = STRANGER, rules: SourceRules
    ) -> bool:
        """Whether what was measured is still what there is; asks less than measuring again would, where it can.

        :raises MeasureError: as `measure`
        """
        async with self._turn(source, access, rules) as store:
            return await store.unchanged(source, facts, access, rules)

    @asynccontextmanager
    async def _turn(self, source: Source, access: Access, rules: SourceRules) -> AsyncIterator[StoreClient]:
        store = self._stores.get(source.store) if source.store else None
        if store is None or source.store is None:
            _refuse(source)
        _check_patterns(source)
        if rules is not self._rules:
            self._door.replace(EgressRules.of(rules))
            self._rules = rules
        host = store.host(source, access, rules)
        async with self._manners.turn(source.store, host, access.scope):
            # Time counts from here: after a restart there may be thousands to measure, and waiting is not their fault.
            try:
                async with asyncio.timeout(rules.timeout):
                    yield store
            except TimeoutError:
                raise failure(
                    "Timeout", f"{shown(source.public_uri)} was not measured within {rules.timeout:g} seconds"
                ) from None


def _possible(facts: ModelFacts, source: Source) -> ModelFacts:
    if facts.bytes > MOST_BYTES or facts.files > MOST_FILES:
        raise failure("InvalidAnswer", f"the store tells impossible sizes for the files of {shown(source.public_uri)}")
    return facts


def _check_patterns(source: Source) -> None:
    patterns = source.allow + source.ignore
    if len(patterns) > _MOST_PATTERNS or sum(map(len, patterns)) > _LONGEST_PATTERNS:
        raise failure(
            "UnsupportedSource",
            f"it has more than {_MOST_PATTERNS} allow and ignore patterns, or more than {_LONGEST_PATTERNS >> 10} KiB "
            "of them; write fewer, or the model's size into the annotation pullsizer.dev/model-size",
        )
    wildcards = [sum(map(pattern.count, "*?[")) for pattern in patterns]
    if (
        max(map(len, patterns), default=0) > _LONGEST_PATTERN
        or max(wildcards, default=0) > _MOST_WILDCARDS
        or sum(wildcards) > _MOST_WILDCARDS_OF_ALL
    ):
        raise failure(
            "UnsupportedSource",
            f"one of its allow and ignore patterns has more than {_LONGEST_PATTERN} characters or {_MOST_WILDCARDS} "
            f"wildcards, or all have more than {_MOST_WILDCARDS_OF_ALL} wildcards; write shorter ones, or the model's "
            "size into the annotation pullsizer.dev/model-size",
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
    if source.store is not None:
        raise failure(
            "UnsupportedSource",
            f"{scheme}:// is not measured yet; write the model's size into the annotation pullsizer.dev/model-size",
        )
    raise failure(
        "UnknownScheme", f"{shown(scheme)} is no scheme that models are pulled from{nearest(scheme, SCHEMES)}"
    )
