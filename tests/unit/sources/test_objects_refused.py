"""What holds for all object stores that do not do what they should, by servers that misbehave on purpose."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources import objects
from pullsizer.sources.measure import Measurer
from pullsizer.sources.resolve import Resolver
from tests.stores.servers import Servers

from .conftest import Handler, Listener, Serve
from .shops import HOSTS, KINDS, Asked, Kind, StandIn, a_key, as_namespace, listing, standing_in


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
async def stage(kind: Kind, serve: Serve, store_servers: Servers) -> AsyncIterator[tuple[StandIn, list[Asked]]]:
    async with standing_in(kind, serve, store_servers) as found:
        yield found


@pytest.fixture
def stand_in(stage: tuple[StandIn, list[Asked]]) -> StandIn:
    return stage[0]


@pytest.fixture
def asked(stage: tuple[StandIn, list[Asked]]) -> list[Asked]:
    return stage[1]


def connections(measurer: Measurer) -> int:
    """Of those that came with a ticket."""
    return sum(connection.ticket is not None for connection in measurer._door._connections)


async def refused(stand_in: StandIn, handler: Handler, within: str = "10s") -> MeasureError:
    shop = await stand_in(handler)
    async with shop.measurer() as mapped:
        with pytest.raises(MeasureError) as caught:
            await mapped.measurer.measure(shop.source("bucket", "m/"), rules=shop.rules(within))
        assert connections(mapped.measurer) == 0
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (400, "Odd", "InvalidAnswer"),
        (401, "InvalidToken", "Unauthorized"),
        (403, "AccessDenied", "Unauthorized"),
        (404, "NoSuchBucket", "NotFound"),
        (418, "Teapot", "InvalidAnswer"),
        (429, "TooMany", "RateLimited"),
        (500, "InternalError", "SourceUnavailable"),
        (503, "SlowDown", "RateLimited"),
    ],
)
async def test_an_answer_is_told_by_its_status_and_never_shown(
    kind: Kind, stand_in: StandIn, status: int, code: str, reason: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        text = f"<Error><Code>{code}</Code><Message>status code: 404, InvalidCertificate(leaked</Message></Error>"
        return web.Response(status=status, text=text, headers={"X-Odd": "leaked"})

    error = await refused(stand_in, answer)
    assert error.reason == ("Unauthorized" if (kind, status) == ("azure", 404) else reason)
    assert "leaked" not in str(error)
    assert code not in str(error)


@pytest.mark.parametrize("size", [(1 << 50) + 1, (1 << 63) - 1])
async def test_what_no_model_can_have_is_an_invalid_answer(kind: Kind, stand_in: StandIn, size: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return listing(kind, {"m/a/b": size})

    error = await refused(stand_in, answer)
    assert error.reason == "InvalidAnswer"
    assert "impossible sizes" in str(error)


@pytest.mark.parametrize("text", ["", "<html>", "{}", "<ListBucketResult>", "\0"])
async def test_what_is_no_listing_is_an_invalid_answer(stand_in: StandIn, text: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text)

    assert (await refused(stand_in, answer)).reason in ("InvalidAnswer", "NotFound")


async def test_a_server_that_does_not_answer_is_left_in_time(stand_in: StandIn) -> None:
    left = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    error = await refused(stand_in, never, "300ms")
    assert (error.reason, "0.3 seconds" in str(error)) == ("Timeout", True)
    await left.wait()


async def test_a_server_that_trickles_is_left_in_time(stand_in: StandIn, kind: Kind) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    assert (await refused(stand_in, trickle, "300ms")).reason == "Timeout"


async def test_a_cancelled_question_leaves_its_server_at_once(stand_in: StandIn) -> None:
    reached, left = asyncio.Event(), asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    shop = await stand_in(never)
    async with shop.measurer() as mapped:
        task = asyncio.ensure_future(mapped.measurer.measure(shop.source("bucket", "m/"), rules=shop.rules()))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connections(mapped.measurer) == 0
        async with asyncio.timeout(2):
            await left.wait()


async def test_a_server_that_hangs_up_is_not_available(kind: Kind, stand_in: StandIn, listener: Listener) -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    assert (await refused(stand_in, hang_up)).reason == "SourceUnavailable"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("where", ["http://127.0.0.1:{}/", "https://127.0.0.1:{}/", "http://[::ffff:127.0.0.1]:{}/"])
async def test_a_redirect_to_a_forbidden_address_is_refused_at_the_door(
    kind: Kind, stand_in: StandIn, listener: Listener, status: int, where: str
) -> None:
    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": where.format(listener.port)})

    error = await refused(stand_in, redirect)
    if where.startswith("https"):
        assert isinstance(error, EgressDenied)
    else:  # nobody is led from https to http; and without TLS, a redirect has no ticket
        assert error.reason == ("InvalidAnswer" if kind == "s3" else "SourceUnavailable")
    assert listener.connections == 0


async def test_a_name_that_became_a_forbidden_address_is_refused_at_the_door(kind: Kind, listener: Listener) -> None:
    host = HOSTS.get(kind, "shop.example")
    uri = {"s3": "s3://bucket/m", "gs": "gs://bucket/m", "azure": f"https://{host}/bucket/m"}[kind]
    source = Source(uri, endpoint=f"http://{host}:{listener.port}" if kind == "s3" else "")
    async with Measurer(environ={}, resolver=Resolver(lambda _: ["127.0.0.1"])) as measurer:
        with pytest.raises(EgressDenied):
            await measurer.measure(source, rules=SourceRules())
    assert listener.connections == 0


async def test_credentials_do_not_follow_a_redirect(stand_in: StandIn, asked: list[Asked], kind: Kind) -> None:
    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "https://elsewhere.example/"})

    access = {
        "s3": as_namespace(AWS_ACCESS_KEY_ID="K", AWS_SECRET_ACCESS_KEY="S", AWS_SESSION_TOKEN="T"),
        "gs": as_namespace(
            GOOGLE_APPLICATION_CREDENTIALS=json.dumps(
                {"client_email": "a@b", "private_key": a_key(), "private_key_id": "1"}
            )
        ),
        "azure": as_namespace(AZURE_STORAGE_ACCESS_KEY="YW5vdGhlcg=="),
    }[kind]
    shop = await stand_in(redirect)
    async with shop.measurer() as mapped:
        with pytest.raises(MeasureError) as caught:
            await mapped.measurer.measure(shop.source("bucket", "m/"), access=access, rules=shop.rules())
        assert not [one for one in mapped.asked if "elsewhere" in one]
    assert caught.value.reason == "InvalidAnswer"
    assert "elsewhere" not in str(caught.value)
    assert "Authorization" in asked[0].headers
    assert ("X-Amz-Security-Token" in {name.title() for name in asked[0].headers}) == (kind == "s3")


async def test_an_answer_is_not_read_to_no_end(stand_in: StandIn) -> None:
    sent = 0

    async def everything(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))
            sent += 1 << 16

    assert (await refused(stand_in, everything)).reason == "SourceUnavailable"
    assert sent < 64 << 20


async def test_the_number_of_objects_is_bounded(stand_in: StandIn, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_MOST_OBJECTS", 2500)
    pages = 0

    async def without_end(_: web.Request) -> web.Response:
        nonlocal pages
        pages += 1
        return listing(kind, {f"m/{pages:05}-{n:05}": 5 for n in range(1000)}, "more")

    error = await refused(stand_in, without_end)
    assert (error.reason, pages) == ("UnsupportedSource", 3)
    assert "pullsizer.dev/model-size" in str(error)


async def test_names_that_the_client_cannot_read_are_said_to_be_such(stand_in: StandIn, kind: Kind) -> None:
    async def odd(_: web.Request) -> web.Response:
        return listing(kind, {"m/a//b": 5})

    error = await refused(stand_in, odd)
    assert (error.reason, "pullsizer.dev/model-size" in str(error)) == ("UnsupportedSource", True)


@pytest.fixture
def rich(monkeypatch: pytest.MonkeyPatch, listener: Listener) -> Iterator[None]:
    """A process in whose environment there is all that the library would use of it, and that leads elsewhere."""
    url = f"http://127.0.0.1:{listener.port}"
    key = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
    for name, value in {
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN"), "leaked"),
        **dict.fromkeys(("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_METADATA_ENDPOINT"), url),
        **dict.fromkeys(("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL_STS", "AWS_PROXY_URL"), url),
        **dict.fromkeys(("AWS_PROXY_EXCLUDES", "AZURE_PROXY_EXCLUDES", "GOOGLE_PROXY_EXCLUDES", "NO_PROXY"), "*"),
        **dict.fromkeys(("AWS_REQUEST_PAYER", "AWS_S3_EXPRESS", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST"), "true"),
        **dict.fromkeys(("AWS_ALLOW_HTTP", "AWS_ALLOW_INVALID_CERTIFICATES", "AWS_UNSIGNED_PAYLOAD"), "true"),
        **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BUCKET", "AWS_USER_AGENT"), "leaked"),
        "AWS_SERVER_SIDE_ENCRYPTION": "sse-c",
        "AWS_SSE_CUSTOMER_KEY_BASE64": key,
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/leaked",
        "AZURE_STORAGE_ACCOUNT_NAME": "leaked",
        "AZURE_STORAGE_ACCOUNT_KEY": key,
        "AZURE_STORAGE_ENCRYPTION_KEY": key,
        "AZURE_STORAGE_SAS_TOKEN": "sig=leaked",
        "AZURE_STORAGE_TOKEN": "leaked",
        "AZURE_STORAGE_ENDPOINT": url,
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURE_USE_FABRIC_ENDPOINT": "true",
        "AZURE_USE_AZURE_CLI": "true",
        "AZURE_MSI_ENDPOINT": url,
        "AZURE_AUTHORITY_HOST": url,
        "AZURE_CLIENT_ID": "leaked",
        "AZURE_CLIENT_SECRET": "leaked",
        "AZURE_TENANT_ID": "leaked",
        "AZURE_FEDERATED_TOKEN_FILE": "/nowhere/leaked",
        "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/leaked",
        "GOOGLE_SERVICE_ACCOUNT": "/nowhere/leaked",
        "GOOGLE_SERVICE_ACCOUNT_KEY": "leaked",
        "GOOGLE_BEARER_TOKEN": "leaked",
        "GOOGLE_BASE_URL": url,
        "GOOGLE_BUCKET": "leaked",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY")  # ours to honour
    yield
    assert listener.connections == 0


@pytest.mark.parametrize("path", ["m/", "m/a"])
async def test_nothing_of_the_operators_own_environment_is_sent(
    stand_in: StandIn, asked: list[Asked], kind: Kind, path: str, rich: None
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=404) if request.method == "HEAD" else listing(kind, {"m/a/b": 5})

    shop = await stand_in(answer)
    async with shop.measurer() as mapped:
        await mapped.measurer.measure(shop.source("bucket", path), rules=shop.rules())
    assert asked
    for one in asked:
        assert {name.lower() for name in one.headers} <= {
            "accept", "user-agent", "host", "connection", "date", "x-ms-version", "content-length",
        }  # fmt: skip
        assert "leaked" not in repr(one)
        assert one.path.startswith("/bucket")
    assert "AWS_ACCESS_KEY_ID" in os.environ
