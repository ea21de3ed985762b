from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources import azure_files as asked_azure
from pullsizer.sources.access import STRANGER, Access
from pullsizer.sources.azure_files import Share, parse
from pullsizer.sources.azure_signing import shared_key, to_sign
from pullsizer.sources.measure import Measurer
from tests.stubs.azure_files import ACCOUNT, HOST, KEY, SIGNATURE, AzureFilesStub, leading_to

from .certificates import make_bundle, server_context
from .conftest import Handler, Listener, Serve, rules_for
from .doors import names

RULES = rules_for("http://hub.invalid")
OURS = Access("models/uid/1", {"AZURE_STORAGE_ACCESS_KEY": KEY})
MODEL = Source(f"https://{HOST}/share/models/m")


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of Azure's hosts."""
    return make_bundle(tmp_path_factory.mktemp("azure") / "bundle.pem", HOST, "*.z12.file.storage.azure.net")


class Measuring(Protocol):
    async def __call__(self, port: int) -> Measurer: ...


@pytest.fixture
async def measuring(azure: Path) -> AsyncIterator[Measuring]:
    """Measurers for which all of Azure is the server on a port."""
    async with AsyncExitStack() as stack:

        async def start(port: int) -> Measurer:
            proxy = await stack.enter_async_context(leading_to(port))
            environ = {"https_proxy": proxy, "SSL_CERT_FILE": str(azure)}
            return await stack.enter_async_context(Measurer(environ=environ, resolver=names()))

        yield start


async def refused(
    measurer: Measurer, source: Source = MODEL, access: Access = OURS, rules: SourceRules = RULES
) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(source, access=access, rules=rules)
    for secret in ("secret", KEY, "sig="):
        assert secret not in str(caught.value)
    return caught.value


async def measured(
    measuring: Measuring, azure: Path, files: dict[str, bytes | int], source: Source = MODEL, **how: int
) -> ModelFacts:
    async with AzureFilesStub(files, server_context(azure), **how) as stub:  # type: ignore[arg-type]
        return await (await measuring(stub.port)).measure(source, access=OURS, rules=RULES)


async def test_one_file_is_as_long_as_it_is(measuring: Measuring, azure: Path) -> None:
    facts = await measured(measuring, azure, {"share/models/m/a.bin": 12345})
    assert facts == ModelFacts(12345, 1, 12345, etag='"1"')


async def test_a_folder_is_the_sum_of_what_is_in_it(measuring: Measuring, azure: Path) -> None:
    files: dict[str, bytes | int] = {
        "share/models/m/a & <b>": 1, "share/models/m/c d/é+%2F": 20, "share/models/m/c d/\x01odd": 300,
        "share/models/m2/no": 4000,
    }  # fmt: skip
    facts = await measured(measuring, azure, files)
    assert (facts.bytes, facts.files, facts.largest, facts.basis) == (321, 3, 300, "measured")


@pytest.mark.parametrize("page", [1000, 5000])
async def test_ten_thousand_files_are_counted_page_by_page(measuring: Measuring, azure: Path, page: int) -> None:
    files: dict[str, bytes | int] = {f"share/models/m/{number}": number for number in range(10_000)}
    facts = await measured(measuring, azure, files, page=page)
    assert (facts.bytes, facts.files) == (sum(range(10_000)), 10_000)


async def test_folders_are_taken_as_deep_as_the_downloader_goes(measuring: Measuring, azure: Path) -> None:
    files: dict[str, bytes | int] = {f"share/models/m/{'d/' * depth}file": 10**depth for depth in range(9)}
    assert (await measured(measuring, azure, files)).bytes == 111_111


@pytest.mark.parametrize(
    ("allow", "ignore", "bytes_"),
    [
        (("models/m/*.bin",), (), 21),
        (("*.bin",), (), 21),
        (("a.bin",), (), 0),
        ((), ("models/m/d/*",), 301),
        ((), ("*.txt",), 21),
    ],
)
async def test_filters_apply_to_the_path_in_the_share_as_in_the_downloader(
    measuring: Measuring, azure: Path, allow: tuple[str, ...], ignore: tuple[str, ...], bytes_: int
) -> None:
    files: dict[str, bytes | int] = {
        "share/models/m/a.bin": 1, "share/models/m/d/b.bin": 20, "share/models/m/x.txt": 300,
    }  # fmt: skip
    source = Source(MODEL.uri, allow, ignore)
    if bytes_:
        assert (await measured(measuring, azure, files, source)).bytes == bytes_
    else:
        with pytest.raises(MeasureError, match="filters leave none"):
            await measured(measuring, azure, files, source)


def zipped() -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.bin", bytes(100_000))
    return found.getvalue()


async def test_a_single_archive_is_unpacked(measuring: Measuring, azure: Path) -> None:
    facts = await measured(measuring, azure, {"share/models/m/d/m.zip": zipped()})
    assert (facts.archive, facts.unpacked, facts.basis) == ("zip", 100_000, "measured")


async def test_one_archive_of_several_files_is_not(measuring: Measuring, azure: Path) -> None:
    assert (await measured(measuring, azure, {"share/models/m/a.zip": 1, "share/models/m/b": 1})).archive == ""


async def test_a_model_changes_with_any_of_its_files(measuring: Measuring, azure: Path) -> None:
    async with AzureFilesStub({"share/models/m/a": 1, "share/models/m/b": 2}, server_context(azure)) as stub:
        measurer = await measuring(stub.port)
        facts = await measurer.measure(MODEL, access=OURS, rules=RULES)
        assert await measurer.unchanged(MODEL, facts, access=OURS, rules=RULES)
        stub.version += 1
        assert not await measurer.unchanged(MODEL, facts, access=OURS, rules=RULES)


async def test_a_key_or_the_signature_in_the_uri_opens_what_is_private(measuring: Measuring, azure: Path) -> None:
    async with AzureFilesStub({"share/models/m/a": 1}, server_context(azure), page=1) as stub:
        measurer = await measuring(stub.port)
        error = await refused(measurer, access=STRANGER)
        assert (error.reason, "pullsizer.dev/model-size" in str(error)) == ("Unauthorized", True)
        wrong = Access("models/uid/2", {"AZURE_STORAGE_ACCESS_KEY": "c2VjcmV0"})
        assert (await refused(measurer, access=wrong)).reason == "Unauthorized"
        signed = Source(f"{MODEL.uri}?{SIGNATURE}")
        for source, access in ((MODEL, OURS), (signed, STRANGER), (signed, OURS)):
            assert (await measurer.measure(source, access=access, rules=RULES)).bytes == 1
        forged = Source(f"{MODEL.uri}?sv=2020&sig=secret")
        assert (await refused(measurer, forged, STRANGER)).reason == "Unauthorized"
        stub.public = True
        assert (await measurer.measure(MODEL, rules=RULES)).bytes == 1
        assert "Authorization" not in stub.asked[-1][2]


async def test_what_is_no_key_is_told(measuring: Measuring, azure: Path) -> None:
    async with AzureFilesStub({}, server_context(azure)) as stub:
        access = Access("models/uid/3", {"AZURE_STORAGE_ACCESS_KEY": "secret!"})
        error = await refused(await measuring(stub.port), access=access)
    assert (error.reason, "Base64" in str(error), stub.asked) == ("Unauthorized", True, [])


async def test_what_is_not_there_is_not_found(measuring: Measuring, azure: Path) -> None:
    async with AzureFilesStub({"share/models/m": 1}, server_context(azure)) as stub:
        error = await refused(await measuring(stub.port))
    assert (error.reason, "folders only" in str(error)) == ("NotFound", True)


ENTRY = "<Name>a</Name><Properties><Content-Length>1</Content-Length></Properties>"
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'


def listing(entries: str, before: str = "") -> str:
    return f"{before}<EnumerationResults><Entries>{entries}</Entries><NextMarker/></EnumerationResults>"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>secret",
        "{}",
        "<EnumerationResults/>",
        listing("").replace("EnumerationResults", "Other"),
        listing("<File/>"),
        listing("<File><Name>a</Name></File>"),
        listing(f"<File>{ENTRY}</File>".replace(">1<", ">-1<")),
        listing(f"<File>{ENTRY}</File>".replace(">1<", ">one<")),
        listing(f"<File>{ENTRY}</File>".replace(">1<", f">{1 << 63}<")),
        listing(f"<File>{ENTRY}</File>".replace(">a<", ">a/b<")),
        listing(f"<File>{ENTRY}</File>".replace(">a<", "><")),
        listing("<Directory><Name>..</Name></Directory>"),
        listing('<Directory><Name Encoded="true">a%2Fb</Name></Directory>'),
        listing("<Directory/>"),
        listing(f"<File>{ENTRY}</File>", BOMB),
        listing(f"<File>{ENTRY.replace('>a<', '>&b;<')}</File>", BOMB),
        listing("<File>&x;</File>", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    ],
)
async def test_what_is_no_listing_says_so(measuring: Measuring, azure: Path, serve: Serve, body: str) -> None:
    async def odd(_: web.Request) -> web.Response:
        return web.Response(body=body.encode())

    site = await serve(odd, server_context(azure))
    assert (await refused(await measuring(site.port))).reason == "InvalidAnswer"


@pytest.mark.parametrize(("name", "bound"), [("_MOST_ENTRIES", 5), ("_MOST_PAGES", 5)])
async def test_more_than_a_model_is_worth_is_not_asked(
    measuring: Measuring, azure: Path, monkeypatch: pytest.MonkeyPatch, name: str, bound: int
) -> None:
    monkeypatch.setattr(asked_azure, name, bound)
    files = {f"share/models/m/{number}": 1 for number in range(10)}
    async with AzureFilesStub(files, server_context(azure), page=1) as stub:
        error = await refused(await measuring(stub.port))
    assert (error.reason, "pullsizer.dev/model-size" in str(error)) == ("UnsupportedSource", True)
    assert len(stub.asked) == 6


@pytest.mark.parametrize(
    ("status", "reason"), [(409, "InvalidAnswer"), (429, "RateLimited"), (503, "SourceUnavailable")]
)
async def test_a_status_has_a_reason(measuring: Measuring, azure: Path, serve: Serve, status: int, reason: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "7"}, text="secret words")

    site = await serve(answer, server_context(azure))
    error = await refused(await measuring(site.port))
    assert (error.reason, error.retry_after == 7) == (reason, status in (429, 503))


async def test_redirects_are_not_followed(measuring: Measuring, azure: Path, serve: Serve, listener: Listener) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"https://127.0.0.1:{listener.port}/"})

    site = await serve(answer, server_context(azure))
    assert (await refused(await measuring(site.port))).reason == "InvalidAnswer"
    assert listener.connections == 0


def never(asked: asyncio.Event) -> Handler:
    async def slow(_: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    return slow


async def test_a_slow_server_takes_no_longer_than_it_may(measuring: Measuring, azure: Path, serve: Serve) -> None:
    asked = asyncio.Event()
    site = await serve(never(asked), server_context(azure))
    error = await refused(await measuring(site.port), rules=rules_for("http://hub.invalid", timeout="500ms"))
    assert (error.reason, asked.is_set()) == ("Timeout", True)


async def test_a_dead_server_is_unavailable(measuring: Measuring, listener: Listener) -> None:
    assert (await refused(await measuring(listener.port))).reason == "SourceUnavailable"


async def test_a_private_endpoint_needs_the_administrators_word(azure: Path) -> None:
    """Azure's own names may mean addresses inside: of private links."""
    resolver = names(**{HOST: ["127.0.0.1"]})
    async with Measurer(environ={"SSL_CERT_FILE": str(azure)}, resolver=resolver) as measurer:
        assert isinstance(await refused(measurer), EgressDenied)


def test_a_uri_is_read_as_the_downloader_reads_it() -> None:
    assert parse(f"https://{HOST}/share/a/b/?{SIGNATURE}") == Share(HOST, "share", "a/b", SIGNATURE)
    assert parse(f"https://{HOST}/share/").path == ""
    assert parse("https://account.z12.file.storage.azure.net/share/x").account == ACCOUNT


@pytest.mark.parametrize(
    "uri",
    [
        f"https://{HOST}/share",
        f"https://{HOST}/",
        f"https://{HOST}/SHARE/x",
        f"https://{HOST}:444/share/x",
        f"https://me:secret@{HOST}/share/x",
        f"https://evil.example/{HOST}/x",
        "https://account.evil.example/x.file.core.windows.net/x",
        "https://[/share/x",
    ],
)
def test_what_is_no_share_of_azures_is_not_asked_for(uri: str) -> None:
    with pytest.raises(MeasureError) as caught:
        parse(uri)
    assert caught.value.reason == "InvalidURI"
    assert "secret" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_share_or_refused(text: str) -> None:
    try:
        share = parse(f"https://{HOST}/{text}")
    except MeasureError:
        return
    assert share.host == HOST


def test_what_is_signed_is_as_documented() -> None:
    """The example of https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key."""
    headers = {"x-ms-version": "2015-02-21", "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT"}
    query = {"restype": "container", "comp": "metadata", "timeout": "20"}
    assert to_sign("myaccount", "/mycontainer", query, headers) == (
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
        "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    )


def test_a_signature_is_that_of_azures_own_library() -> None:
    """A request of azure-storage-file-share 12.27.1, with its signature."""
    headers = {
        "x-ms-version": "2026-10-06",
        "x-ms-date": "Sun, 22 Nov 2026 22:24:52 GMT",
        "x-ms-client-request-id": "896d267c-e6c3-11f1-bcb9-02fc00000001",
    }
    text = to_sign("account", "/share", {"restype": "directory", "comp": "list"}, headers)
    assert (
        shared_key("account", "Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy", text)
        == "SharedKey account:40VgBsSLLMkCnTgAck0SipuOyKwAhA+hellACfZyU/s="
    )
