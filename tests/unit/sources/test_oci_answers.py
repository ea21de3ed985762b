"""Registries that are slow, dead, or not what they should be; and where credentials do not go."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import web

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER, Access
from pullsizer.sources.measure import Measurer

from .certificates import server_context
from .conftest import Handler, Listener, Serve, Site

Json: TypeAlias = Mapping[str, Any]
PASSWORD = base64.b64encode(b"me:secret").decode()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def an_image() -> tuple[bytes, bytes, int]:
    """A layer, the manifest of the image that is made of it, and how much comes out."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("models/empty"))
    layer = gzip.compress(made.getvalue())
    descriptor = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": digest_of(layer),
        "size": len(layer),
    }
    return layer, json.dumps({"schemaVersion": 2, "layers": [descriptor]}).encode(), len(made.getvalue())


LAYER, MANIFEST, UNPACKED = an_image()


def piece(content: bytes, request: web.Request) -> web.Response:
    first, last = (int(part) for part in request.headers["Range"].removeprefix("bytes=").split("-"))
    told = f"bytes {first}-{last}/{len(content)}"
    return web.Response(status=206, body=content[first : last + 1], headers={"Content-Range": told})


async def image(request: web.Request) -> web.Response:
    """An honest registry with one image."""
    return piece(LAYER, request) if "/blobs/" in request.path else web.Response(body=MANIFEST)


def listed(*sites: Site, timeout: str = "10s") -> SourceRules:
    """The administrator lists these, and nothing else that is not public may be asked."""
    endpoints = [f"{site.scheme}://127.0.0.1:{site.port}" for site in sites]
    return SourceRules.model_validate({"allowEndpoints": endpoints, "timeout": timeout})


def uri(site: Site, name: str = "team/model:v1") -> str:
    return f"oci://127.0.0.1:{site.port}/{name}"


def known_to(site: Site) -> Access:
    config = json.dumps({"auths": {f"127.0.0.1:{site.port}": {"auth": PASSWORD}}})
    return Access("models/uid/1", {"KSERVE_OCI_DOCKER_CONFIG": config})


async def refused(
    measurer: Measurer, site: Site, rules: SourceRules, *, access: Access = STRANGER, name: str = "team/model:v1"
) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri(site, name)), access=access, rules=rules)
    assert "secret" not in str(caught.value).replace("pull secret", "")
    return caught.value


async def test_a_slow_registry_has_its_time_and_no_more(measurer: Measurer, serve: Serve) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    site = await serve(never)
    assert (await refused(measurer, site, listed(site, timeout="100ms"))).reason == "Timeout"


async def test_a_dead_registry_is_unavailable(measurer: Measurer, listener: Listener) -> None:
    site = Site(listener.port)
    assert (await refused(measurer, site, listed(site))).reason == "SourceUnavailable"
    assert listener.connections


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, "NotFound"),
        (403, "Unauthorized"),
        (429, "RateLimited"),
        (500, "SourceUnavailable"),
        (302, "InvalidAnswer"),
    ],
)
async def test_a_status_has_a_reason(measurer: Measurer, serve: Serve, status: int, reason: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text="secret", headers={"Retry-After": "17"})

    site = await serve(answer)
    error = await refused(measurer, site, listed(site))
    assert error.reason == reason
    assert (error.retry_after == 17) == (status in (429, 500))


async def test_a_manifest_elsewhere_is_followed_but_not_inside(
    measurer: Measurer, serve: Serve, listener: Listener
) -> None:
    store = await serve(image)
    target = store.url("/manifest")

    async def hop(request: web.Request) -> web.Response:
        if "/manifests/" in request.path:
            return web.Response(status=307, headers={"Location": target})
        return await image(request)

    site = await serve(hop)
    facts = await measurer.measure(Source(uri(site)), rules=listed(site, store))
    assert facts.unpacked == UNPACKED
    target = f"http://127.0.0.1:{listener.port}/"
    assert isinstance(await refused(measurer, site, listed(site)), EgressDenied)
    assert listener.connections == 0


async def test_a_layer_on_the_inside_is_not_looked_into(measurer: Measurer, serve: Serve, listener: Listener) -> None:
    async def hop(request: web.Request) -> web.Response:
        if "/blobs/" in request.path:
            return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{listener.port}/"})
        return await image(request)

    site = await serve(hop)
    facts = await measurer.measure(Source(uri(site)), rules=listed(site))
    assert (facts.bytes, facts.unpacked, facts.basis) == (len(LAYER), 0, "estimated")
    assert listener.connections == 0


def private(realm: Callable[[], str], then: Handler = image) -> Handler:
    """A registry that gives to those who have a token, and sends others for one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer token-of-the-test":
            asked = f'Bearer realm="{realm()}",service="s",scope="repository:team/model:pull,push,delete"'
            return web.Response(status=401, headers={"WWW-Authenticate": asked})
        return await then(request)

    return answer


async def token(_: web.Request) -> web.Response:
    return web.json_response({"access_token": "token-of-the-test"})


async def test_the_password_goes_to_the_realm_and_the_token_to_the_registry(measurer: Measurer, serve: Serve) -> None:
    store = await serve(image_piece)
    tokens = await serve(token)

    async def blobs_elsewhere(request: web.Request) -> web.Response:
        if "/blobs/" in request.path:
            return web.Response(status=307, headers={"Location": store.url("/blob")})
        return await image(request)

    site = await serve(private(lambda: tokens.url("/token?x=y"), blobs_elsewhere))
    facts = await measurer.measure(Source(uri(site)), access=known_to(site), rules=listed(site, tokens, store))
    assert facts.unpacked == UNPACKED
    assert [headers["Authorization"] for *_, headers in tokens.asked] == [f"Basic {PASSWORD}"]
    assert PASSWORD not in str(site.asked)
    assert store.asked
    assert "Authorization" not in str(store.asked)


async def image_piece(request: web.Request) -> web.Response:
    return piece(LAYER, request)


async def test_no_more_than_pulling_is_asked_for(measurer: Measurer, serve: Serve) -> None:
    scopes = []

    async def noting(request: web.Request) -> web.Response:
        scopes.append((request.query.getall("scope"), request.query.getall("service")))
        return await token(request)

    tokens = await serve(noting)
    site = await serve(private(lambda: tokens.url("/token?scope=repository:team/model:delete")))
    await measurer.measure(Source(uri(site)), rules=listed(site, tokens))
    assert scopes == [(["repository:team/model:pull"], ["s"])]


@pytest.fixture
async def trusting(bundle: Path) -> Any:
    async with Measurer(environ={"SSL_CERT_FILE": str(bundle)}) as measurer:
        yield measurer


def with_localhost(*sites: Site) -> SourceRules:
    return listed(*sites).model_copy(update={"allow_cidrs": ("127.0.0.0/8", "::1/128")})


async def test_a_realm_on_another_host_is_asked_as_strangers_ask(
    trusting: Measurer, serve: Serve, bundle: Path
) -> None:
    tokens = await serve(token, server_context(bundle))
    site = await serve(private(lambda: tokens.url("/token", "localhost")))
    facts = await trusting.measure(Source(uri(site)), access=known_to(site), rules=with_localhost(site))
    assert facts.unpacked == UNPACKED
    assert [headers.get("Authorization") for *_, headers in tokens.asked] == [None]
    assert PASSWORD not in str(site.asked)


async def test_what_such_a_realm_does_not_give_to_strangers_is_said_to_be_for_that(
    trusting: Measurer, serve: Serve, bundle: Path
) -> None:
    async def wants_a_password(_: web.Request) -> web.Response:
        return web.Response(status=401)

    tokens = await serve(wants_a_password, server_context(bundle))
    site = await serve(private(lambda: tokens.url("/token", "localhost")))
    error = await refused(trusting, site, with_localhost(site), access=known_to(site))
    assert error.reason == "Unauthorized"
    assert "another domain" in str(error)
    assert "localhost" not in str(error)


async def test_a_realm_on_the_inside_is_not_asked(measurer: Measurer, serve: Serve, listener: Listener) -> None:
    for scheme in ("http", "https"):
        site = await serve(private(lambda: f"{scheme}://127.0.0.1:{listener.port}/token"))  # noqa: B023
        assert isinstance(await refused(measurer, site, listed(site), access=known_to(site)), EgressDenied)
    assert listener.connections == 0


@pytest.mark.parametrize("realm", ["http://localhost:1/token", "/token", "", "http://[", "file:///etc/passwd"])
async def test_a_realm_that_is_no_https_url_is_not_asked(measurer: Measurer, serve: Serve, realm: str) -> None:
    site = await serve(private(lambda: realm))
    assert (await refused(measurer, site, listed(site))).reason == "InvalidAnswer"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, "{}", "InvalidAnswer"),
        (200, "[]", "InvalidAnswer"),
        (200, "secret", "InvalidAnswer"),
        (200, '{"token": "secret\\r\\nX: y"}', "InvalidAnswer"),
        (200, json.dumps({"token": "secret" * 20_000}), "InvalidAnswer"),
        (200, '{"token": "the-wrong-one"}', "Unauthorized"),
        (400, "secret", "Unauthorized"),
        (403, "secret", "Unauthorized"),
        (429, "secret", "RateLimited"),
        (503, "secret", "SourceUnavailable"),
    ],
)
async def test_no_token_has_a_reason(measurer: Measurer, serve: Serve, status: int, body: str, reason: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    tokens = await serve(answer)
    site = await serve(private(lambda: tokens.url("/token")))
    assert (await refused(measurer, site, listed(site, tokens), access=known_to(site))).reason == reason


@pytest.mark.parametrize("header", ["", "Negotiate", 'Basic realm="x"'])
async def test_who_cannot_be_told_who_we_are_gives_nothing(measurer: Measurer, serve: Serve, header: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": header})

    site = await serve(answer)
    assert (await refused(measurer, site, listed(site))).reason == "Unauthorized"
    assert (await refused(measurer, site, listed(site), access=known_to(site))).reason == "Unauthorized"


async def test_where_a_redirect_led_nobody_is_told_who_we_are(measurer: Measurer, serve: Serve) -> None:
    async def curious(_: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})

    elsewhere = await serve(curious)

    async def hop(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": elsewhere.url("/x")})

    site = await serve(hop)
    error = await refused(measurer, site, listed(site, elsewhere), access=known_to(site))
    assert error.reason == "Unauthorized"
    assert PASSWORD not in str(site.asked) + str(elsewhere.asked)


def manifests(*bodies: bytes) -> Handler:
    """A registry that answers with these, by their digests, and with the first by any tag."""
    by_digest = {digest_of(body): body for body in bodies}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=by_digest.get(request.path.rpartition("/")[2], bodies[0]))

    return answer


def index_of(body: bytes) -> bytes:
    item = {"digest": digest_of(body), "platform": {"os": "linux", "architecture": "amd64"}}
    return json.dumps({"manifests": [item]}).encode()


async def test_an_index_may_list_another_but_not_for_ever(measurer: Measurer, serve: Serve) -> None:
    two = index_of(index_of(MANIFEST))
    site = await serve(manifests(two, index_of(MANIFEST), MANIFEST))
    assert (await measurer.measure(Source(uri(site)), rules=listed(site))).bytes == len(LAYER)
    site = await serve(manifests(index_of(two), two, index_of(MANIFEST), MANIFEST))
    assert (await refused(measurer, site, listed(site))).reason == "InvalidAnswer"
    assert len(site.asked) == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"secret", "InvalidAnswer"),
        (b'{"schemaVersion": 1, "fsLayers": []}', "InvalidAnswer"),
        (b'{"layers": []' + b" " * (4 << 20) + b"}", "InvalidAnswer"),
        (b'{"manifests": []}', "NotFound"),
    ],
)
async def test_what_is_no_manifest_has_a_reason(measurer: Measurer, serve: Serve, body: bytes, reason: str) -> None:
    site = await serve(manifests(body))
    assert (await refused(measurer, site, listed(site))).reason == reason


async def test_a_manifest_is_the_one_that_was_asked_for(measurer: Measurer, serve: Serve) -> None:
    site = await serve(manifests(MANIFEST))
    pinned = f"team/model@{digest_of(MANIFEST)}"
    assert (await measurer.measure(Source(uri(site, pinned)), rules=listed(site))).bytes == len(LAYER)
    site = await serve(manifests(MANIFEST + b" "))
    assert "another manifest" in str(await refused(measurer, site, listed(site), name=pinned))


async def test_a_registry_that_tells_no_digest_is_asked_for_the_manifest(measurer: Measurer, serve: Serve) -> None:
    site = await serve(manifests(MANIFEST))
    source = Source(uri(site))
    facts = ModelFacts(5, 1, 5, revision=digest_of(MANIFEST))
    assert await measurer.unchanged(source, facts, rules=listed(site))
    assert [method for method, *_ in site.asked] == ["HEAD", "GET"]
