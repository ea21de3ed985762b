"""The fixtures are the real servers, and behave as the stores do for which they stand."""

from __future__ import annotations

import ssl
import urllib.request
from pathlib import Path

import pytest
from obstore.exceptions import BaseError

from .azure import AzureServer
from .clients import S3, Azure, Client, Gcs, Store
from .gcs import GcsServer


@pytest.fixture(params=["s3", "gcs", "azure"])
def store(request: pytest.FixtureRequest) -> Store:
    match request.param:
        case "s3":
            return S3(request.getfixturevalue("s3_server"))
        case "gcs":
            return Gcs(request.getfixturevalue("gcs_server"))
        case _:
            return Azure(request.getfixturevalue("azure_server"))


def sizes(client: Client, prefix: str | None = None) -> dict[str, int]:
    return {found["path"]: found["size"] for batch in client.list(prefix) for found in batch}


def get(url: str, ca: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(ca))
    with urllib.request.urlopen(url, timeout=30, context=context) as reply:
        answer: bytes = reply.read()
        return answer


def at_name(endpoint: str, name: str, path: str) -> bytes:
    request = urllib.request.Request(endpoint + path, headers={"Host": name})
    with urllib.request.urlopen(request, timeout=30) as reply:
        answer: bytes = reply.read()
        return answer


def test_more_objects_than_one_page_holds_are_all_listed(store: Store) -> None:
    objects = {f"model/{number:05}.bin": 20_000_000_000 + number for number in range(store.page + 2)}
    bucket = store.bucket(public=True)
    bucket.put(objects | {"other/config.json": b"{}"})
    assert sizes(store.owner(bucket.name), "model") == objects
    first = get(*store.listing(bucket.name))
    assert b"model/00000.bin" in first
    assert f"model/{store.page + 1:05}.bin".encode() not in first


def test_the_end_of_a_huge_object_is_read_at_once(store: Store) -> None:
    bucket = store.bucket()
    bucket.put({"huge.bin": 20_000_000_000, "small.txt": b"0123456789"})
    client = store.owner(bucket.name)
    assert bytes(client.get_range("huge.bin", start=19_999_999_990, end=20_000_000_000)) == bytes(10)
    assert bytes(client.get_range("small.txt", start=3, end=6)) == b"345"
    assert client.head("huge.bin")["size"] == 20_000_000_000


def test_an_object_that_is_replaced_has_another_etag(store: Store) -> None:
    bucket = store.bucket()
    client = store.owner(bucket.name)
    bucket.put({"a": b"before", "b": 10})
    before = [client.head(name)["e_tag"] for name in "ab"]
    bucket.put({"a": b"after!", "b": 20})
    after = [client.head(name)["e_tag"] for name in "ab"]
    assert not {*before} & {*after}


def test_a_wrong_key_is_refused(store: Store) -> None:
    bucket = store.bucket()
    bucket.put({"a": b"secret"})
    with pytest.raises(BaseError, match=r"status code: 40[13]"):
        sizes(store.wrong(bucket.name))


def test_strangers_see_what_is_public_and_nothing_else(store: Store) -> None:
    private, public = store.bucket(), store.bucket(public=True)
    for bucket in (private, public):
        bucket.put({"a": b"abc"})
    stranger = store.stranger(public.name)
    assert sizes(stranger) == {"a": 3}
    assert bytes(stranger.get("a").bytes()) == b"abc"
    with pytest.raises(BaseError, match=r"status code: 40[134]"):
        sizes(store.stranger(private.name))


def test_a_bucket_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(BaseError, match="status code: 404"):
        sizes(store.owner("no-such-bucket"))


def test_google_answers_to_its_public_name(gcs_server: GcsServer) -> None:
    bucket = gcs_server.bucket(public=True)
    bucket.put({"a": b"abc"})
    assert at_name(gcs_server.endpoint, "storage.googleapis.com", f"/{bucket.name}/a") == b"abc"


def test_azure_answers_to_its_public_name(azure_server: AzureServer) -> None:
    bucket = azure_server.container(public=True)
    bucket.put({"a": b"abc"})
    name = f"{azure_server.account}.blob.core.windows.net"
    assert at_name(azure_server.endpoint, name, f"/{bucket.name}/a") == b"abc"


def test_https_is_vouched_for_by_the_ca(store: Store) -> None:
    bucket = store.bucket(public=True)
    bucket.put({"a": 1})
    url, ca = store.listing(bucket.name)
    assert bucket.name.encode() in get(url, ca)
