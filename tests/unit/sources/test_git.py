from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from aiohttp import web

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources import git as asked_git
from pullsizer.sources.access import STRANGER, Access
from pullsizer.sources.git import parse
from pullsizer.sources.git_lines import line
from pullsizer.sources.measure import Measurer
from tests.stubs.git import GitServer, commit, git, make_repository

from .certificates import server_context
from .conftest import Handler, Listener, Serve, Site, rules_for

LOCAL = rules_for("http://hub.invalid", "127.0.0.0/8", "::1/128")
NOISE = Random(1).randbytes(100_000)
OURS = Access("models/uid/1", {"GIT_USERNAME": "me", "GIT_PASSWORD": "secret"})


@pytest.fixture(params=[True, False], ids=["v2", "v0"])
async def server(tmp_path: Path, bundle: Path, request: pytest.FixtureRequest) -> AsyncIterator[GitServer]:
    (tmp_path / "repositories").mkdir()
    async with GitServer(tmp_path / "repositories", server_context(bundle), v2=request.param) as ours:
        yield ours


@pytest.fixture
async def measurer(bundle: Path) -> AsyncIterator[Measurer]:
    async with Measurer(environ={"SSL_CERT_FILE": str(bundle)}) as ours:
        yield ours


async def refused(measurer: Measurer, uri: str, rules: SourceRules = LOCAL, access: Access = STRANGER) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), access=access, rules=rules)
    assert "secret" not in str(caught.value)
    return caught.value


def on_disk(server: GitServer, name: str, folder: Path) -> int:
    """Bytes of files and pack of what the real git clones as the downloader's library does."""
    every = ("--depth", "1", "--no-single-branch", "--no-local", "-q")
    git(server.root, "clone", *every, (server.root / name).as_uri(), str(folder))
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return sum(path.stat().st_size for path in (*files, *folder.glob(".git/objects/pack/*.pack")))


@pytest.mark.parametrize(
    "files",
    [
        {"weights.bin": NOISE},
        {"weights.bin": NOISE, "folder/config.json": b"{}", "folder/deeper/empty": b""},
        {"a": NOISE, "b": NOISE, "c/a": NOISE[:-1] + b"!"},
    ],
    ids=["one", "three", "alike"],
)
async def test_a_repository_is_as_big_as_a_shallow_clone(
    measurer: Measurer, server: GitServer, tmp_path: Path, files: dict[str, bytes]
) -> None:
    folder = make_repository(server.root / "model.git", {"old": NOISE[::-1]})
    git(folder, "rm", "-q", "old")
    revision = commit(folder, files)
    facts = await measurer.measure(Source(server.url("model.git")), rules=LOCAL)
    assert facts == ModelFacts(
        bytes=on_disk(server, "model.git", tmp_path / "clone"),
        files=len(files),
        largest=len(NOISE),
        revision=revision,
    )


async def test_every_branch_and_tag_counts_as_the_downloader_takes_them_all(
    measurer: Measurer, server: GitServer, tmp_path: Path
) -> None:
    folder = make_repository(server.root / "model.git", {"weights.bin": NOISE})
    git(folder, "checkout", "-q", "-b", "other")
    commit(folder, {"weights.bin": NOISE[::-1]})
    git(folder, "tag", "-a", "v1", "-m", "first")
    git(folder, "checkout", "-q", "main")
    facts = await measurer.measure(Source(server.url("model.git")), rules=LOCAL)
    assert facts.bytes == on_disk(server, "model.git", tmp_path / "clone") > 3 * len(NOISE)
    assert (facts.files, facts.largest) == (1, len(NOISE))


@pytest.mark.parametrize("server", [True], indirect=True)  # packs are the same in either version
async def test_ten_thousand_files_are_counted(measurer: Measurer, server: GitServer) -> None:
    files = {f"{number % 100}/{number}": b"%d" % number for number in range(10_000)}
    make_repository(server.root / "model.git", files)
    facts = await measurer.measure(Source(server.url("model.git")), rules=LOCAL)
    assert (facts.files, facts.largest, facts.basis) == (10_000, 4, "measured")


async def test_a_repository_is_unchanged_while_its_head_is(measurer: Measurer, server: GitServer) -> None:
    folder = make_repository(server.root / "model.git", {"a": b"a"})
    source = Source(server.url("model.git"))
    facts = await measurer.measure(source, rules=LOCAL)
    server.asked.clear()
    assert await measurer.unchanged(source, facts, rules=LOCAL)
    assert [path for _, path, _ in server.asked][1:] == (["/model.git/git-upload-pack"] if server.v2 else [])
    commit(folder, {"b": b"b"})
    assert not await measurer.unchanged(source, facts, rules=LOCAL)


async def test_a_repository_without_a_commit_has_nothing(measurer: Measurer, server: GitServer) -> None:
    server.root.joinpath("model.git").mkdir()
    git(server.root / "model.git", "init", "-q", "-b", "main")
    error = await refused(measurer, server.url("model.git"))
    assert (error.reason, "no commit" in str(error)) == ("NotFound", True)


async def test_a_repository_of_sha256_says_so(measurer: Measurer, server: GitServer) -> None:
    make_repository(server.root / "model.git", {"a": b"a"}, object_format="sha256")
    error = await refused(measurer, server.url("model.git"))
    assert (error.reason, "SHA-256" in str(error)) == ("UnsupportedSource", True)


async def test_credentials_open_what_is_private(measurer: Measurer, server: GitServer) -> None:
    make_repository(server.root / "model.git", {"a": b"a"})
    server.login = ("me", "secret")
    error = await refused(measurer, server.url("model.git"))
    assert (error.reason, "pullsizer.dev/model-size" in str(error)) == ("Unauthorized", True)
    wrong = Access("models/uid/2", {"GIT_USERNAME": "me", "GIT_PASSWORD": "wrong"})
    assert (await refused(measurer, server.url("model.git"), access=wrong)).reason == "Unauthorized"
    assert (await measurer.measure(Source(server.url("model.git")), access=OURS, rules=LOCAL)).files == 1


async def test_a_user_in_the_uri_goes_with_the_password_of_the_namespace(measurer: Measurer, server: GitServer) -> None:
    make_repository(server.root / "model.git", {"a": b"a"})
    server.login = ("you", "secret")
    uri = server.url("model.git", "you@")
    assert (await measurer.measure(Source(uri), access=OURS, rules=LOCAL)).files == 1


async def test_a_user_in_the_uri_alone_may_be_a_token_and_is_not_used(measurer: Measurer, server: GitServer) -> None:
    make_repository(server.root / "model.git", {"a": b"a"})
    await measurer.measure(Source(server.url("model.git", "ghp_secret@")), rules=LOCAL)
    assert {who for *_, who in server.asked} == {None}


async def test_what_is_not_there_says_what_the_downloader_makes_of_git_in_a_uri(
    measurer: Measurer, server: GitServer
) -> None:
    error = await refused(measurer, server.url("other.git/file.bin"))
    assert (error.reason, "clones whatever has .git" in str(error)) == ("NotFound", True)


async def test_too_big_a_repository_is_not_read_to_its_end(
    measurer: Measurer, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked_git, "_MOST_PACK", len(NOISE) // 2)
    make_repository(server.root / "model.git", {"weights.bin": NOISE})
    error = await refused(measurer, server.url("model.git"))
    assert (error.reason, "pullsizer.dev/model-size" in str(error)) == ("UnsupportedSource", True)


async def test_too_many_branches_are_not_asked_for(
    measurer: Measurer, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked_git, "_MOST_NAMES", 2)
    folder = make_repository(server.root / "model.git", {"a": b"a"})
    git(folder, "tag", "-a", "v1", "-m", "first")
    error = await refused(measurer, server.url("model.git"))
    assert (error.reason, "branches, tags" in str(error)) == ("UnsupportedSource", True)
    assert len(server.asked) == 1 + server.v2


ADVERTISED = {"Content-Type": "application/x-git-upload-pack-advertisement"}
GREETING = line(b"version 2") + line(b"ls-refs") + line(b"fetch=shallow") + b"0000"
HEAD = line(b"%040d HEAD" % 1) + b"0000"


@pytest.fixture
async def site(serve: Serve, bundle: Path) -> Site:
    return await serve(answering(b"", b""), server_context(bundle))


def answering(refs: bytes, pack: bytes, greeting: bytes = GREETING) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(body=greeting, headers=ADVERTISED)
        return web.Response(body=refs if b"ls-refs" in await request.read() else pack)

    return answer


@pytest.mark.parametrize(
    "handler",
    [
        answering(HEAD, b"<html>secret"),
        answering(HEAD, b""),
        answering(HEAD, line(b"ERR secret")),
        answering(HEAD, line(b"packfile") + line(b"\x03secret")),
        answering(HEAD, line(b"packfile") + b"0009\x01secr"),
        answering(line(b"not a reference"), b""),
        answering(line(b"unborn HEAD secret"), b""),
        answering(b"zzzz", b""),
        answering(HEAD + b"003f", b""),
        answering(HEAD, b"", b"0000"),
        answering(HEAD, b"", b"secret"),
        answering(HEAD, b"", line(b"\xff\0shallow side-band-64k")),
    ],
)
async def test_what_is_not_gits_protocol_says_so(
    measurer: Measurer, serve: Serve, bundle: Path, handler: Handler
) -> None:
    site = await serve(handler, server_context(bundle))
    assert (await refused(measurer, site.url("/m.git", "localhost"))).reason == "InvalidAnswer"


@pytest.mark.parametrize(
    "greeting", [line(b"version 2") + line(b"fetch=filter"), line(b"%040d HEAD\0shallow" % 1), line(b"version 2")]
)
async def test_a_server_without_shallow_clones_says_so(
    measurer: Measurer, serve: Serve, bundle: Path, greeting: bytes
) -> None:
    site = await serve(answering(HEAD, b"", greeting), server_context(bundle))
    assert (await refused(measurer, site.url("/m.git", "localhost"))).reason == "UnsupportedSource"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, "InvalidAnswer"),
        (204, "InvalidAnswer"),
        (304, "InvalidAnswer"),
        (403, "Unauthorized"),
        (410, "NotFound"),
        (418, "InvalidAnswer"),
        (429, "RateLimited"),
        (503, "SourceUnavailable"),
    ],
)
async def test_a_status_has_a_reason(measurer: Measurer, serve: Serve, bundle: Path, status: int, reason: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "7"})

    site = await serve(answer, server_context(bundle))
    error = await refused(measurer, site.url("/m.git", "localhost"))
    assert error.reason == reason
    assert (error.retry_after == 7) == (status in (429, 503))


async def test_a_repository_that_moved_is_found_and_a_credential_stays(
    measurer: Measurer, server: GitServer, serve: Serve, bundle: Path
) -> None:
    make_repository(server.root / "new.git", {"a": b"a"})

    async def moved(request: web.Request) -> web.Response:
        return web.Response(status=301, headers={"Location": server.url(f"new.git/info/refs?{request.query_string}")})

    site = await serve(moved, server_context(bundle))
    facts = await measurer.measure(Source(site.url("/old.git", "localhost")), access=OURS, rules=LOCAL)
    assert facts.files == 1
    assert "Authorization" in site.asked[0][2]
    assert {who for *_, who in server.asked} == {None}


@pytest.mark.parametrize(
    "location", ["http://localhost:{}/m.git/info/refs", "https://localhost:{}/elsewhere", "http://[", "ftp://a/b"]
)
async def test_a_redirect_to_where_no_repository_can_be_is_odd(
    measurer: Measurer, serve: Serve, bundle: Path, location: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.scheme == "https" and request.path == "/m.git/info/refs":
            return web.Response(status=302, headers={"Location": location.format(other)})
        return web.Response(body=GREETING, headers=ADVERTISED)

    plain = await serve(answer)
    site = await serve(answer, server_context(bundle))
    other = plain.port if "http:" in location else site.port
    assert (await refused(measurer, site.url("/m.git", "localhost"))).reason == "InvalidAnswer"


async def test_redirects_in_a_circle_end(measurer: Measurer, serve: Serve, bundle: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": str(request.rel_url)})

    site = await serve(answer, server_context(bundle))
    assert "redirects more than" in str(await refused(measurer, site.url("/m.git", "localhost")))


async def test_a_redirect_to_the_inside_is_not_followed(
    measurer: Measurer, serve: Serve, bundle: Path, listener: Listener
) -> None:
    async def answer(_: web.Request) -> web.Response:
        inside = f"https://127.0.0.1:{listener.port}/m.git/info/refs"
        return web.Response(status=302, headers={"Location": inside})

    site = await serve(answer, server_context(bundle))
    rules = rules_for(f"https://localhost:{site.port}")
    assert isinstance(await refused(measurer, site.url("/m.git", "localhost"), rules), EgressDenied)
    assert listener.connections == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_slow_server_takes_no_longer_than_it_may(
    measurer: Measurer, serve: Serve, bundle: Path, method: str
) -> None:
    async def slow(request: web.Request) -> web.Response:
        if request.method == method:
            await asyncio.Event().wait()
        return web.Response(body=GREETING, headers=ADVERTISED)

    site = await serve(slow, server_context(bundle))
    rules = rules_for("http://hub.invalid", "127.0.0.0/8", "::1/128", timeout="300ms")
    assert (await refused(measurer, site.url("/m.git", "localhost"), rules)).reason == "Timeout"


async def test_a_dead_server_is_unavailable(measurer: Measurer, listener: Listener) -> None:
    assert (await refused(measurer, f"https://localhost:{listener.port}/m.git")).reason == "SourceUnavailable"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("https://a.example/m.git?x=y", "InvalidURI"),
        ("https://a.example:0/m.git", "InvalidURI"),
        ("https://127.1/m.git", "InvalidURI"),
        ("https://a b/m.git", "InvalidURI"),
        ("https://[/m.git", "InvalidURI"),
        ("https://me:secret@a.example/m.git", "UnsupportedSource"),
    ],
)
def test_what_is_no_repository_is_not_asked_for(uri: str, reason: str) -> None:
    with pytest.raises(MeasureError) as caught:
        parse(uri)
    assert caught.value.reason == reason
    assert not re.search("secret", str(caught.value))
