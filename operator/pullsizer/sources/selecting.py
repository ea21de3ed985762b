"""Which objects of a bucket the downloader takes, and what its single archive unpacks to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.sources.archives import archive_kind, unpacked
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.objects import Bucket
from pullsizer.sources.tally import Item, Tally

if TYPE_CHECKING:
    from obstore import ObjectMeta

_THREADS: Final = 2
_MANY: Final = 10_000
"""Names times patterns: some 10 ms, which is too long for the loop."""


def folder_of(prefix: str) -> tuple[str, str]:
    """The folder in which all names lie that begin with a prefix, and after which name they begin.

    The library lists folders, the stores and the downloader names that begin in some way: `models/bert` is also the
    beginning of `models/bert-large/x` and `models/bert.bin`. Names come in order, so those are one run of the folder's.
    """
    if not prefix or prefix.endswith("/"):
        return prefix, ""
    return prefix.rpartition("/")[0], prefix


def nothing(source: Source) -> MeasureError:
    """Why there is nothing to measure."""
    return failure(
        "NotFound", f"{shown(source.public_uri)} has no objects, or the filters leave none; is it spelled right?"
    )


class Selecting:
    """Adds up what the downloader takes."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "objects")

    async def single(self, bucket: Bucket, found: ObjectMeta) -> ModelFacts:
        """An object that was named itself."""
        key = found["path"]
        tally = Tally()
        tally.add(Item(key, key.rpartition("/")[2], found["size"], found["e_tag"] or ""))
        return await self._facts(bucket, tally)

    async def many(
        self,
        bucket: Bucket,
        pages: AsyncGenerator[Sequence[ObjectMeta]],
        source: Source,
        prefix: str,
        first: ObjectMeta | None = None,
    ) -> ModelFacts | None:
        """Those objects whose names begin with the prefix, without empty ones and what the filters leave out.

        Folders that a console made are empty objects, too, with a slash at the end that the library does not show.

        :param first: that of just this name, which is not in the pages
        :returns: nothing, where nothing is left
        """
        tally = Tally()
        if first is not None:
            await self._add(tally, [first], source, prefix)
        async with aclosing(pages):
            async for page in pages:
                # Some stores begin at the folder's first name all the same, and tell the first object again.
                inside = [found for found in page if found["path"].startswith(prefix)]
                again = first["path"] if first is not None else None
                await self._add(tally, [found for found in inside if found["path"] != again], source, prefix)
                if not (last := page[-1]["path"]).startswith(prefix) and last > prefix:
                    break
        return await self._facts(bucket, tally) if tally.files else None

    async def _add(self, tally: Tally, found: Sequence[ObjectMeta], source: Source, prefix: str) -> None:
        items = [
            Item(one["path"], _relative(one["path"], prefix), one["size"], one["e_tag"] or "")
            for one in found
            if one["size"]
        ]
        if len(items) * (len(source.allow) + len(source.ignore)) <= _MANY:
            tally.add_all(items, source.selects)
        else:
            work = partial(tally.add_all, items, source.selects)
            await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _facts(self, bucket: Bucket, tally: Tally) -> ModelFacts:
        """One file that is an archive is unpacked; more are left as they are."""
        only = tally.last
        if tally.files != 1 or only is None or not (kind := archive_kind(only.name)):
            return tally.facts()
        found, basis = await unpacked(kind, only.size, partial(bucket.read, only.key))
        return tally.facts(kind, found, basis)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _relative(key: str, prefix: str) -> str:
    """The file that an object becomes, below the model's folder."""
    return key[len(prefix) :].lstrip("/") or key.rpartition("/")[2]
