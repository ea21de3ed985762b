"""Which objects the downloader takes of a bucket: it goes another way about it with each kind of store.

KServe v0.20.0, python/storage/kserve_storage/kserve_storage.py: `_download_s3`, `_download_gcs`,
`_download_azure_blob`. Left out here are objects without bytes, as S3's and Azure's downloads leave them out. Google's
takes them, all but those that end in a slash; the library shows no slash, and they weigh nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from pullsizer.model import ModelFacts, Source
from pullsizer.sources.archives import archive_kind, unpacked
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.filtering import Filters
from pullsizer.sources.objects import Bucket
from pullsizer.sources.tally import Item, Tally

if TYPE_CHECKING:
    from obstore import ObjectMeta


async def as_s3(bucket: Bucket, source: Source, prefix: str) -> ModelFacts:
    """All names that begin with the prefix.

    The object of just that name comes first and ends the listing; filters do not apply to it.
    """
    exact = await bucket.find(prefix) if prefix and not prefix.endswith("/") else None
    tally, filters = Tally(), Filters(source)
    if exact is not None and exact["size"]:
        tally.add(_item(exact, prefix))
    else:
        await _add_all(tally, bucket, filters, prefix)
    return await _facts(tally, bucket, source)


async def as_azure(bucket: Bucket, source: Source, prefix: str) -> ModelFacts:
    """All names that begin with the prefix, the one of just that name among them."""
    exact = await bucket.find(prefix) if prefix else None
    tally, filters = Tally(), Filters(source)
    if exact is not None:
        await _add(tally, [exact], filters, prefix)
    await _add_all(tally, bucket, filters, prefix)
    return await _facts(tally, bucket, source)


async def as_google(bucket: Bucket, source: Source, key: str) -> ModelFacts:
    """All names in the folder; where there is no folder, the object of that name, to which no filters apply."""
    folder = key if key.endswith("/") else f"{key}/"
    tally, filters = Tally(), Filters(source)
    await _add_all(tally, bucket, filters, folder)
    if not bucket.listed and folder != key and (single := await bucket.find(key)):
        tally.add(_item(single, key))
    return await _facts(tally, bucket, source)


async def _add_all(tally: Tally, bucket: Bucket, filters: Filters, prefix: str) -> None:
    """Those whose names begin with the prefix and are longer.

    The library lists folders, the stores and the downloader names that begin in some way: `models/bert` is also how
    `models/bert-large/x` and `models/bert.bin` begin. In the order of names they are one run of their folder's.
    """
    inside = not prefix or prefix.endswith("/")
    folder, after = (prefix, "") if inside else (prefix.rpartition("/")[0], prefix)
    async with aclosing(bucket.pages(folder, after)) as pages:
        async for page in pages:
            # Some stores begin with the folder's first name all the same.
            ours = [one for one in page if one["path"].startswith(prefix) and one["path"] != prefix]
            await _add(tally, ours, filters, prefix)
            if not (last := page[-1]["path"]).startswith(prefix) and last > prefix:
                break


async def _add(tally: Tally, found: Sequence[ObjectMeta], filters: Filters, prefix: str) -> None:
    items = [_item(one, prefix) for one in found if one["size"]]
    for item in await filters.leave(items, attrgetter("name")):
        tally.add(item)


def _item(found: ObjectMeta, prefix: str) -> Item:
    """An object, and the file that it becomes below the model's folder."""
    key = found["path"]
    name = key[len(prefix) :].lstrip("/") or key.rpartition("/")[2]
    return Item(key, name, found["size"], found["e_tag"] or "")


async def _facts(tally: Tally, bucket: Bucket, source: Source) -> ModelFacts:
    """All that was added up. One file that is an archive is unpacked; beside others it is left as it is."""
    only = tally.last
    if only is None:
        raise failure(
            "NotFound", f"{shown(source.public_uri)} has no objects, or the filters leave none; is it spelled right?"
        )
    if tally.files > 1 or not (kind := archive_kind(only.name)):
        return tally.facts()
    found, basis = await unpacked(kind, only.size, partial(bucket.read, only.key))
    return tally.facts(kind, found, basis)
