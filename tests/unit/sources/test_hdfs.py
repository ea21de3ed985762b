from __future__ import annotations

import asyncio
import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources import hdfs as asked_hdfs
from pullsizer.sources.access import STRANGER, Access
from pullsizer.sources.hdfs import parse
from pullsizer.sources.measure import Measurer
from tests.stubs.hdfs import HEADERS, NamenodeStub

from .certificates import server_context
from .conftest import Listener, Serve, rules_for

LOCAL = rules_for("http://hub.invalid", "127.0.0.0/8", "::1/128")
MODEL = Source("hdfs://models/m")


def given_access(namenodes: str, **more: str) -> Access:
    return Access("models/uid/1", {"HDFS_NAMENODE": namenodes, **more})


async def refused(
    measurer: Measurer, access: Access, source: Source = MODEL, rules: SourceRules = LOCAL
) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(source, access=access, rules=rules)
    assert "secret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("scheme", ["hdfs", "webhdfs"])
async def test_a_file_is_as_long_as_it_is(measurer: Measurer, scheme: str) -> None:
    async with NamenodeStub({"/models/m": 12345}) as stub:
        facts = await measurer.measure(Source(f"{scheme}://models/m"), access=given_access(stub.url), rules=LOCAL)
    assert facts == ModelFacts(12345, 1, 12345, etag=str(stub.written))


async def test_a_folder_is_the_sum_of_what_is_in_it(measurer: Measurer) -> None:
    files = {"/models/m/a": 1, "/models/m/b c/é": 20, "/models/m/b c/d/e": 300, "/models/m2/no": 4000}
    async with NamenodeStub(files) as stub:
        facts = await measurer.measure(MODEL, access=given_access(stub.url), rules=LOCAL)
    assert (facts.bytes, facts.files, facts.largest, facts.basis) == (321, 3, 300, "measured")


async def test_ten_thousand_files_are_counted(measurer: Measurer) -> None:
    files = {f"/models/m/{number % 10}/{number}": number for number in range(5000)}
    files |= {f"/models/m/{number}.bin": number for number in range(5000)}
    async with NamenodeStub(files) as stub:
        facts = await measurer.measure(MODEL, access=given_access(stub.url), rules=LOCAL)
    assert (facts.bytes, facts.files) == (2 * sum(range(5000)), 10_000)
    assert len(stub.asked) == 12


@pytest.mark.parametrize(
    ("allow", "ignore", "bytes_"),
    [(("*.bin",), (), 1), (("folder",), (), 20), ((), ("folder", "*.txt"), 1), (("deep.bin",), (), 0)],
)
async def test_filters_apply_to_the_folder_itself_as_in_the_downloader(
    measurer: Measurer, allow: tuple[str, ...], ignore: tuple[str, ...], bytes_: int
) -> None:
    files = {"/models/m/a.bin": 1, "/models/m/folder/deep.bin": 20, "/models/m/x.txt": 300}
    source = Source(MODEL.uri, allow, ignore)
    async with NamenodeStub(files) as stub:
        assert (await measurer.measure(source, access=given_access(stub.url), rules=LOCAL)).bytes == bytes_


async def test_filters_do_not_apply_to_a_single_file(measurer: Measurer) -> None:
    async with NamenodeStub({"/models/m": 1}) as stub:
        source = Source(MODEL.uri, ("other",))
        assert (await measurer.measure(source, access=given_access(stub.url), rules=LOCAL)).files == 1


@pytest.mark.parametrize(
    ("uri", "root", "path"),
    [
        ("hdfs://models/m", "", "/models/m"),
        ("hdfs:///models//x/../m/", "", "/models/m"),
        ("hdfs://m", "/models", "/models/m"),
        ("hdfs:///models/m", "/elsewhere", "/models/m"),
        ("hdfs://m", "models", "/user/me/models/m"),
        ("hdfs://../../../m", "/models", "/m"),
        ("hdfs://a b/c?d#e%2F", "", "/a b/c?d#e%2F"),
    ],
)
async def test_a_path_is_found_as_the_downloader_finds_it(measurer: Measurer, uri: str, root: str, path: str) -> None:
    async with NamenodeStub({path: 7}) as stub:
        access = given_access(stub.url, HDFS_ROOTPATH=root)
        assert (await measurer.measure(Source(uri), access=access, rules=LOCAL)).bytes == 7


def zipped() -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.bin", bytes(100_000))
    return found.getvalue()


@pytest.mark.parametrize("path", ["/models/m.zip", "/models/m.zip/inner.zip"])
async def test_a_single_archive_is_unpacked(measurer: Measurer, path: str) -> None:
    async with NamenodeStub({path: zipped()}) as stub:
        facts = await measurer.measure(Source("hdfs://models/m.zip"), access=given_access(stub.url), rules=LOCAL)
    assert (facts.archive, facts.unpacked, facts.basis) == ("zip", 100_000, "measured")


async def test_one_archive_of_several_files_is_not(measurer: Measurer) -> None:
    async with NamenodeStub({"/models/m/a.zip": 1, "/models/m/b": 1}) as stub:
        assert (await measurer.measure(MODEL, access=given_access(stub.url), rules=LOCAL)).archive == ""


async def test_a_model_changes_when_it_is_written(measurer: Measurer) -> None:
    async with NamenodeStub({"/models/m/a": 1, "/models/m/b": 2}) as stub:
        access = given_access(stub.url)
        facts = await measurer.measure(MODEL, access=access, rules=LOCAL)
        assert await measurer.unchanged(MODEL, facts, access=access, rules=LOCAL)
        stub.written += 1
        assert not await measurer.unchanged(MODEL, facts, access=access, rules=LOCAL)


async def test_the_active_namenode_is_found(measurer: Measurer, listener: Listener) -> None:
    files = {"/models/m/a": 1, "/models/m/b": 2}
    async with NamenodeStub(files, standby=True) as standby, NamenodeStub(files) as active:
        access = given_access(f"http://127.0.0.1:{listener.port};{standby.url}; {active.url}/;")
        assert (await measurer.measure(MODEL, access=access, rules=LOCAL)).bytes == 3
        assert (len(standby.asked), len(active.asked)) == (1, 2)
        assert listener.connections
        error = await refused(measurer, given_access(standby.url))
        assert (error.reason, "not the active one" in str(error)) == ("SourceUnavailable", True)


async def test_a_namenode_that_is_silent_leaves_time_for_the_next(measurer: Measurer, serve: Serve) -> None:
    async def silent(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    rules = rules_for("http://hub.invalid", "127.0.0.0/8", timeout="600ms")
    site = await serve(silent)
    async with NamenodeStub({"/models/m": 1}) as stub:
        access = given_access(f"{site.url('')};{stub.url}")
        assert (await measurer.measure(MODEL, access=access, rules=rules)).bytes == 1
    assert (await refused(measurer, given_access(site.url("")), rules=rules)).reason == "Timeout"


async def test_headers_and_user_are_sent_to_the_namenode_alone(measurer: Measurer, serve: Serve) -> None:
    async with NamenodeStub({"/models/m": 1}, private=True) as stub:
        access = given_access(stub.url, HEADERS=json.dumps(HEADERS), USER_PROXY="me")
        assert (await measurer.measure(MODEL, access=access, rules=LOCAL)).bytes == 1
        assert stub.asked[0][1]["doas"] == "me"
        assert (await refused(measurer, given_access(stub.url))).reason == "Unauthorized"

        async def hop(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"{stub.url}{request.path_qs}"})

        site = await serve(hop)
        access = given_access(site.url(""), HEADERS=json.dumps(HEADERS))
        assert (await refused(measurer, access)).reason == "Unauthorized"
        assert "X-Secret" in site.asked[0][2]


@pytest.mark.parametrize("headers", ["[]", "{", '{"a": 1}', '{"a\\n": "b"}', "secret"])
async def test_headers_that_are_none_are_not_sent(measurer: Measurer, headers: str) -> None:
    async with NamenodeStub({"/models/m": 1}) as stub:
        error = await refused(measurer, given_access(stub.url, HEADERS=headers))
    assert (error.reason, stub.asked) == ("Unauthorized", [])


@pytest.fixture
def pem(bundle: Path) -> str:
    """The certificate without its key."""
    return bundle.read_text().partition("-----END PRIVATE KEY-----")[2]


async def test_a_private_ca_of_the_secret_is_trusted_for_this_model(measurer: Measurer, bundle: Path, pem: str) -> None:
    async with NamenodeStub({"/models/m": 1}, tls=server_context(bundle)) as stub:
        assert (await refused(measurer, given_access(stub.url))).reason == "TLSError"
        for more in ({"TLS_CA": pem}, {"TLS_SKIP_VERIFY": "True"}):
            facts = await measurer.measure(MODEL, access=given_access(stub.url, **more), rules=LOCAL)
            assert facts.bytes == 1
        assert (await refused(measurer, given_access(stub.url))).reason == "TLSError"
        assert (await refused(measurer, given_access(stub.url, TLS_CA="no PEM"))).reason == "TLSError"


@pytest.mark.parametrize(
    ("more", "reason", "words"),
    [
        ({"HDFS_NAMENODE": ""}, "Unauthorized", "allow credentials for the namespace"),
        ({"HDFS_NAMENODE": " ; "}, "Unauthorized", "allow credentials for the namespace"),
        ({"HDFS_NAMENODE": "namenode:9870"}, "InvalidURI", "http://namenode:9870"),
        ({"HDFS_NAMENODE": "ftp://a"}, "InvalidURI", "http://namenode:9870"),
        ({"HDFS_NAMENODE": "http://a;http://["}, "InvalidURI", "http://namenode:9870"),
        ({"KERBEROS_PRINCIPAL": "me@REALM"}, "UnsupportedSource", "Kerberos"),
        ({"TLS_CERT": "secret"}, "UnsupportedSource", "client certificate"),
    ],
)
async def test_what_the_secret_does_not_say_or_the_operator_cannot_do_is_told(
    measurer: Measurer, more: dict[str, str], reason: str, words: str
) -> None:
    access = Access("models/uid/1", {"HDFS_NAMENODE": "http://a.example", **more})
    error = await refused(measurer, access)
    assert (error.reason, words in str(error)) == (reason, True)


async def test_strangers_have_no_namenode(measurer: Measurer) -> None:
    assert (await refused(measurer, STRANGER)).reason == "Unauthorized"


async def test_a_namenode_that_wants_kerberos_says_so(measurer: Measurer) -> None:
    async with NamenodeStub({}, kerberos=True) as stub:
        error = await refused(measurer, given_access(stub.url))
    assert (error.reason, "Kerberos" in str(error)) == ("Unauthorized", True)


async def test_what_is_not_there_is_not_found(measurer: Measurer) -> None:
    async with NamenodeStub({"/other": 1}) as stub:
        assert (await refused(measurer, given_access(stub.url))).reason == "NotFound"


STATUS = {"type": "DIRECTORY", "length": 0, "modificationTime": 1, "pathSuffix": ""}
FILE = {**STATUS, "type": "FILE", "pathSuffix": "a", "length": 1}


@pytest.mark.parametrize(
    ("status", "listing"),
    [
        (b"", b""),
        (b"<html>", b""),
        (b"[]", b""),
        ({}, {}),
        ({"FileStatus": []}, {}),
        ({"FileStatus": {**STATUS, "type": "SYMLINK"}}, {}),
        ({"FileStatus": {**FILE, "length": -1}}, {}),
        ({"FileStatus": {**FILE, "length": "1"}}, {}),
        ({"FileStatus": {**FILE, "length": True}}, {}),
        ({"FileStatus": {**FILE, "length": 1 << 63}}, {}),
        ({"FileStatus": STATUS}, b"x"),
        ({"FileStatus": STATUS}, {"FileStatuses": []}),
        ({"FileStatus": STATUS}, {"FileStatuses": {"FileStatus": {}}}),
        ({"FileStatus": STATUS}, {"FileStatuses": {"FileStatus": [1]}}),
        *(
            ({"FileStatus": STATUS}, {"FileStatuses": {"FileStatus": [{**FILE, "pathSuffix": name}]}})
            for name in ("", ".", "..", "a/b", "../secret", 1, None)
        ),
    ],
)
async def test_what_is_not_webhdfs_says_so(measurer: Measurer, serve: Serve, status: Any, listing: Any) -> None:
    async def odd(request: web.Request) -> web.Response:
        answer = listing if request.query["op"] == "LISTSTATUS" else status
        return web.Response(body=answer) if isinstance(answer, bytes) else web.json_response(answer)

    site = await serve(odd)
    assert (await refused(measurer, given_access(site.url("")))).reason == "InvalidAnswer"


@pytest.mark.parametrize(("name", "bound"), [("_MOST_ENTRIES", 5), ("_MOST_FOLDERS", 3), ("_DEEPEST", 2)])
async def test_more_than_a_model_is_worth_is_not_asked(
    measurer: Measurer, monkeypatch: pytest.MonkeyPatch, name: str, bound: int
) -> None:
    monkeypatch.setattr(asked_hdfs, name, bound)
    async with NamenodeStub({f"/models/m/{'d/' * depth}file": 1 for depth in range(9)}) as stub:
        error = await refused(measurer, given_access(stub.url))
    assert (error.reason, "pullsizer.dev/model-size" in str(error)) == ("UnsupportedSource", True)
    assert len(stub.asked) < 6


async def test_a_dead_namenode_is_unavailable(measurer: Measurer, listener: Listener) -> None:
    assert (await refused(measurer, given_access(f"http://127.0.0.1:{listener.port}"))).reason == "SourceUnavailable"


@pytest.mark.parametrize(
    ("status", "reason"), [(500, "SourceUnavailable"), (429, "RateLimited"), (400, "InvalidAnswer")]
)
async def test_a_status_has_a_reason(measurer: Measurer, serve: Serve, status: int, reason: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text="secret words" * 10_000, headers={"Retry-After": "7"})

    error = await refused(measurer, given_access((await serve(answer)).url("")))
    assert (error.reason, error.retry_after == 7) == (reason, status != 400)


async def test_nobody_reaches_the_inside(measurer: Measurer, serve: Serve, listener: Listener) -> None:
    async def hop(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{listener.port}/"})

    site = await serve(hop)
    for namenode in (f"http://127.0.0.1:{listener.port}", site.url("")):
        error = await refused(measurer, given_access(namenode), rules=rules_for(site.url("")))
        assert isinstance(error, EgressDenied)
    assert listener.connections == 0


@pytest.mark.parametrize("uri", ["hdfs://", "hdfs:///", "hdfs://a\0b"])
def test_what_is_no_path_is_not_asked_for(uri: str) -> None:
    with pytest.raises(MeasureError) as caught:
        parse(uri)
    assert caught.value.reason == "InvalidURI"


def test_the_latest_of_a_folder_is_not_looked_up() -> None:
    with pytest.raises(MeasureError, match=r"pullsizer\.dev/model-size"):
        parse("hdfs://models/#LATEST")


@given(st.text())
def test_any_text_is_a_path_or_refused(text: str) -> None:
    with suppress(MeasureError):
        assert parse(f"hdfs://{text}") == text
