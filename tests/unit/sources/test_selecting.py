"""What is added up is what the downloader takes, by its own code."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.sources.object_errors import Asked
from pullsizer.sources.objects import Bucket
from pullsizer.sources.selecting import as_azure, as_google, as_s3
from pullsizer.sources.tickets import Ticket

Take: TypeAlias = Callable[[Bucket, Source, str], Coroutine[Any, Any, ModelFacts]]
Download: TypeAlias = Callable[[dict[str, int], str, Source], dict[str, int]]


def should_download(path: str, allow: tuple[str, ...], ignore: tuple[str, ...]) -> bool:
    if allow and not any(fnmatch.fnmatch(path, pattern) for pattern in allow):
        return False
    return not any(fnmatch.fnmatch(path, pattern) for pattern in ignore)


def download_s3(objects: dict[str, int], bucket_path: str, source: Source) -> dict[str, int]:
    tasks, exact_obj_found = {}, False
    for key, size in sorted(objects.items()):
        if not key.startswith(bucket_path) or key.endswith("/") or size == 0:
            continue
        if bucket_path == key:
            target_key = key.rsplit("/", 1)[-1]
            exact_obj_found = True
        else:
            target_key = key.removeprefix(bucket_path).lstrip("/")
        if not exact_obj_found and not should_download(target_key, source.allow, source.ignore):
            continue
        tasks[key] = size
        if exact_obj_found:
            break
    return tasks


def download_gcs(objects: dict[str, int], bucket_path: str, source: Source) -> dict[str, int]:
    prefix = bucket_path if bucket_path.endswith("/") else bucket_path + "/"
    blobs = {name: size for name, size in sorted(objects.items()) if name.startswith(prefix)}
    if not blobs:
        return {bucket_path: objects[bucket_path]} if bucket_path in objects else {}
    taken = {}
    for name, size in blobs.items():
        subdir_object_key = name.replace(bucket_path, "", 1).lstrip("/")
        if subdir_object_key.strip() != "" and not subdir_object_key.endswith("/"):
            if not should_download(subdir_object_key, source.allow, source.ignore):
                continue
            taken[name] = size
    return taken


def download_azure(objects: dict[str, int], prefix: str, source: Source) -> dict[str, int]:
    taken = {}
    for name, size in sorted(objects.items()):
        if name.startswith(prefix) and size > 0:
            relative_path = name.replace(prefix, "", 1).lstrip("/")
            if not relative_path:
                relative_path = prefix.rsplit("/", 1)[-1]
            if should_download(relative_path, source.allow, source.ignore):
                taken[name] = size
    return taken


async def taken_of(take: Take, objects: dict[str, int], prefix: str, source: Source) -> ModelFacts:
    store = MemoryStore()
    for key, size in objects.items():
        await obstore.put_async(store, key, bytes(size))
    bucket = Bucket(store, Asked("the bucket", signed=False), Ticket(frozenset(), 1))  # type: ignore[arg-type]
    return await take(bucket, source, prefix)


# Few letters, and those that sort before and after a slash: so prefixes are met, and nearly met.
SEGMENT = st.text("a-0", min_size=1, max_size=2)
KEY = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)
OBJECTS = st.dictionaries(KEY, st.integers(0, 3), max_size=8)
PATTERNS = st.lists(st.sampled_from(["*", "a*", "*/0", "a", "-/*", "a/"]), max_size=2).map(tuple)


@pytest.mark.parametrize(
    ("uri", "take", "download"),
    [
        ("s3://bucket/…", as_s3, download_s3),
        ("gs://bucket/…", as_google, download_gcs),
        ("https://account.blob.core.windows.net/bucket/…", as_azure, download_azure),
    ],
)
def test_what_the_downloader_takes_is_what_is_added_up(uri: str, take: Take, download: Download) -> None:
    google, azure = take is as_google, take is as_azure

    @given(objects=OBJECTS, key=KEY, slash=st.sampled_from(["", "/"]), allow=PATTERNS, ignore=PATTERNS)
    def check(objects: dict[str, int], key: str, slash: str, allow: tuple[str, ...], ignore: tuple[str, ...]) -> None:
        source = Source(uri, allow, ignore)
        prefix = key if azure else key + slash  # of whose URIs the slashes at the end are taken away
        taken = download(objects, prefix, source)
        # Empty files are no files; but an object that is named itself, Google's downloader takes whatever it weighs.
        sizes = [size for name, size in taken.items() if size or (google and name == prefix)]
        measured = taken_of(take, objects, prefix, source)
        if not sizes:
            with pytest.raises(MeasureError, match="no objects"):
                asyncio.run(measured)
            return
        facts = asyncio.run(measured)
        assert (facts.bytes, facts.files, facts.largest) == (sum(sizes), len(sizes), max(sizes))

    check()


def test_many_patterns_keep_nobody_waiting() -> None:
    source = Source("s3://bucket/…", ("b*",) * 1000, ())
    objects = {f"{number:03}": 1 for number in range(100)} | {"b": 5}
    assert asyncio.run(taken_of(as_s3, objects, "", source)).bytes == 5
