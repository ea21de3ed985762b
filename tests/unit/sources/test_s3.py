from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest
import uvloop
from aiohttp import web

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER, Access
from pullsizer.sources.measure import Measurer
from tests.stores.s3 import S3Server
from tests.stores.servers import Servers

from .conftest import Serve, listening, rules_for
from .mapped import mapped
from .shops import as_namespace, listing, s3_shop, tls_of

LOCAL = rules_for("http://hub.invalid", "127.0.0.0/8")
EAST, WEST = "s3.us-east-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"


async def reason(measurer: Measurer, source: Source, access: Access = STRANGER, rules: SourceRules = LOCAL) -> str:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(source, access=access, rules=rules)
    return caught.value.reason


async def test_names_need_only_begin_with_the_prefix(measurer: Measurer, s3_server: S3Server) -> None:
    shop = s3_shop(s3_server)
    place = shop.place(False)
    place.put({"m/bert/a": 1, "m/bert-large/a": 10, "m/bert.bin": 100, "m/ber": 1000, "m/berta": 10_000, "m/c": 5})
    found = await measurer.measure(shop.source(place.name, "m/bert"), access=shop.owner, rules=shop.rules())
    assert (found.bytes, found.files) == (10_111, 4)


async def test_an_object_named_itself_is_all_and_needs_no_pattern(measurer: Measurer, s3_server: S3Server) -> None:
    shop = s3_shop(s3_server)
    place = shop.place(False)
    place.put({"m/bert": 1, "m/bert.bin": 100})
    source = shop.source(place.name, "m/bert", ("*.bin",))
    found = await measurer.measure(source, access=shop.owner, rules=shop.rules())
    assert (found.bytes, found.files) == (1, 1)


async def test_a_query_is_no_part_of_the_prefix(measurer: Measurer, s3_server: S3Server) -> None:
    shop = s3_shop(s3_server)
    place = shop.place(False)
    place.put({"m/a": 1})
    assert await measurer.measure(shop.source(place.name, "m?x=y#z"), access=shop.owner, rules=shop.rules())


async def test_the_containers_endpoint_is_asked_then_the_secrets_then_the_policys(
    measurer: Measurer, serve: Serve
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return listing("s3", {"m/a": 5})

    container, secret, policy = [await serve(answer) for _ in range(3)]
    rules = SourceRules.model_validate({"s3": {"endpoint": policy.url("")}, "allowCIDRs": ["127.0.0.0/8"]})
    named = as_namespace(AWS_ENDPOINT_URL=secret.url(""))
    for source, access, asked in (
        (Source("s3://bucket/m/", endpoint=container.url("")), named, container),
        (Source("s3://bucket/m/"), named, secret),
        (Source("s3://bucket/m/"), STRANGER, policy),
    ):
        await measurer.measure(source, access=access, rules=rules)
        assert [path for _, path, _ in asked.asked] == ["/bucket"]


async def test_a_port_where_nobody_listens_is_not_available(measurer: Measurer, serve: Serve) -> None:
    async with listening() as gone:
        pass
    source = Source("s3://bucket/m", endpoint=f"http://127.0.0.1:{gone.port}")
    with pytest.raises(MeasureError, match="cannot be reached") as caught:
        await measurer.measure(source, rules=LOCAL)
    assert caught.value.reason == "SourceUnavailable"


async def test_what_was_listed_is_not_kept(measurer: Measurer, serve: Serve) -> None:
    pages = 30

    async def answer(request: web.Request) -> web.Response:
        page = int(request.query.get("continuation-token", "0"))
        more = str(page + 1) if page + 1 < pages else ""
        return listing("s3", {f"m/{page:03}-{number:03}": 5 for number in range(1000)}, more)

    source = Source("s3://bucket/m/", endpoint=(await serve(answer)).url(""))
    tracemalloc.start()
    try:
        assert (await measurer.measure(source, rules=LOCAL)).files == pages * 1000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20  # of this page and the next, the server's own included; all of them are three times that


async def test_an_endpoint_that_a_user_named_is_not_trusted(measurer: Measurer, serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return listing("s3", {"m/a": 5})

    site = await serve(answer)
    with pytest.raises(EgressDenied):
        await measurer.measure(Source("s3://bucket/m/", endpoint=site.url("")), rules=SourceRules())
    assert site.asked == []


async def test_the_bucket_is_in_the_hosts_name_where_the_secret_says_so(serve: Serve, store_servers: Servers) -> None:
    async def answer(_: web.Request) -> web.Response:
        return listing("s3", {"m/a": 5})

    host = f"bucket.{EAST}"
    site = await serve(answer, tls_of(store_servers, host))
    async with mapped({f"{host}:443": site.url("")}, store_servers.pki.ca) as there:
        access = as_namespace(S3_USER_VIRTUAL_BUCKET="true")
        assert await there.measurer.measure(Source("s3://bucket/m/"), access=access, rules=SourceRules())
    assert [path for _, path, _ in site.asked] == ["/"]


@pytest.mark.parametrize("status", [301, 400])
@pytest.mark.parametrize("endpoint", ["", "https://s3.amazonaws.com"])
async def test_a_bucket_is_asked_in_the_region_that_it_names(
    serve: Serve, store_servers: Servers, status: int, endpoint: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.host == WEST:
            return listing("s3", {"m/a": 5})
        return web.Response(status=status, headers={"x-amz-bucket-region": "eu-west-1"})

    site = await serve(answer, tls_of(store_servers, EAST, WEST))
    names = dict.fromkeys((f"{EAST}:443", f"{WEST}:443"), site.url(""))
    access = as_namespace(AWS_ACCESS_KEY_ID="K", AWS_SECRET_ACCESS_KEY="S", AWS_ENDPOINT_URL=endpoint)
    async with mapped(names, store_servers.pki.ca) as there:
        assert (await there.measurer.measure(Source("s3://bucket/m/"), access=access, rules=SourceRules())).bytes == 5
    assert [(method, headers["Host"]) for method, _, headers in site.asked] == [
        ("GET", EAST),
        ("HEAD", EAST),
        ("GET", WEST),
    ]
    assert "Authorization" not in site.asked[1][2]
    assert "/eu-west-1/s3/" in site.asked[2][2]["Authorization"]


@pytest.mark.parametrize("region", ["", "us-east-1", "evil.example/", "x" * 99])
async def test_a_bucket_that_names_no_other_region_is_asked_once(measurer: Measurer, serve: Serve, region: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=301, headers={"x-amz-bucket-region": region})

    site = await serve(answer)
    assert await reason(measurer, Source("s3://bucket/m/", endpoint=site.url(""))) == "InvalidAnswer"
    assert [method for method, *_ in site.asked] == ["GET", "HEAD"]


async def test_certificates_are_trusted_as_the_secret_says(s3_server: S3Server) -> None:
    shop = s3_shop(s3_server)
    place = shop.place(False)
    place.put({"m/a": 5})
    source, keys = Source(f"s3://{place.name}/m", endpoint=s3_server.tls_endpoint), shop.owner.environment
    async with Measurer(environ={}) as measurer:
        assert await reason(measurer, source, shop.owner) == "TLSError"
        for more in (
            {"AWS_CA_BUNDLE": s3_server.ca.read_text()},
            {"S3_VERIFY_SSL": "0"},
            {"S3_VERIFY_SSL": "False"},
        ):
            access = as_namespace(**keys, **more)
            assert (await measurer.measure(source, access=access, rules=LOCAL)).bytes == 5
        assert await reason(measurer, source, as_namespace(**keys, S3_VERIFY_SSL="1")) == "TLSError"
        assert await reason(measurer, source, as_namespace(**keys, AWS_CA_BUNDLE="none")) == "Unauthorized"


async def test_strangers_and_half_a_key_sign_nothing(measurer: Measurer, serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return listing("s3", {"m/a": 5})

    site = await serve(answer)
    keys = {"AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "S"}
    for access, signed in (
        (as_namespace(**keys), True),
        (as_namespace(**keys, awsAnonymousCredential="true"), False),
        (as_namespace(AWS_ACCESS_KEY_ID="K"), False),
    ):
        await measurer.measure(Source("s3://bucket/m/", endpoint=site.url("")), access=access, rules=LOCAL)
        assert ("Authorization" in site.asked[-1][2]) is signed


@pytest.mark.parametrize(
    ("uri", "endpoint", "region"),
    [
        ("s3://", "", "a"),
        ("s3:///m", "", "a"),
        ("s3://a b/m", "", "a"),
        ("s3://user:password@bucket/m", "", "a"),
        ("s3://bucket:80/m", "", "a"),
        ("s3://bucket/m", "ftp://host", "a"),
        ("s3://bucket/m", "host:9000", "a"),
        ("s3://bucket/m", "https://", "a"),
        ("s3://bucket/m", "https://user:password@host", "a"),
        ("s3://bucket/m", "", "evil.example/"),
    ],
)
async def test_what_names_no_bucket_is_refused_before_anybody_is_asked(
    measurer: Measurer, uri: str, endpoint: str, region: str
) -> None:
    access = as_namespace(AWS_ENDPOINT_URL=endpoint, AWS_DEFAULT_REGION=region)
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), access=access, rules=LOCAL)
    assert caught.value.reason == "InvalidURI"
    assert "password" not in str(caught.value)


async def test_a_key_of_odd_characters_is_not_sent(measurer: Measurer, serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return listing("s3", {"m/a": 5})

    site = await serve(answer)
    access = as_namespace(AWS_ACCESS_KEY_ID="K", AWS_SECRET_ACCESS_KEY="S\r\nX: y")
    assert await reason(measurer, Source("s3://bucket/m/", endpoint=site.url("")), access) == "Unauthorized"
    assert site.asked == []


def threads_now() -> int:
    """Of the system's: the library's own are not known to Python."""
    return len([*Path("/proc/self/task").iterdir()])


def test_uvloop_serves_as_well_and_no_thread_stays_behind(s3_server: S3Server) -> None:
    shop = s3_shop(s3_server)
    place = shop.place(False)
    place.put({"m/a": 5})
    threads = []

    async def measure() -> None:
        async with Measurer(environ={}) as measurer:
            for _ in range(6):
                ask = [
                    measurer.measure(shop.source(place.name, "m"), access=shop.owner, rules=shop.rules())
                    for _ in range(8)
                ]
                assert {found.bytes for found in await asyncio.gather(*ask)} == {5}
                threads.append(threads_now())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure())
    assert max(threads) - threads[0] < 8  # the library has a few of its own; of 40 questions none leaves one
