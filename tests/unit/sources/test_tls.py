from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from aiohttp import web

from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.measure import Measurer
from pullsizer.sources.tls import make_context

from .certificates import server_context
from .conftest import Serve, Site, rules_for


@pytest.fixture
async def site(serve: Serve, bundle: Path) -> Site:
    async def answer(request: web.Request) -> web.Response:
        if request.path.startswith("/api/"):
            return web.json_response([{"type": "file", "path": "x", "oid": "1", "size": 5}])
        return web.Response(body=b"abc")

    return await serve(answer, server_context(bundle))


LOCAL = rules_for("https://localhost", "127.0.0.0/8", "::1/128")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
async def test_a_private_ca_is_trusted_where_the_environment_names_it(site: Site, bundle: Path, variable: str) -> None:
    async with Measurer(environ={variable: str(bundle)}) as measurer:
        facts = await measurer.measure(Source(site.url("/m", "localhost")), rules=LOCAL)
        hub = rules_for(site.url("", "localhost"))
        listed = await measurer.measure(Source("hf://a/b"), rules=hub)
    assert (facts.bytes, listed.bytes) == (3, 5)


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(site: Site) -> None:
    async with Measurer(environ={}) as measurer:
        for source, rules in (
            (Source(site.url("/m", "localhost")), LOCAL),
            (Source("hf://a/b"), rules_for(site.url("", "localhost"))),
        ):
            with pytest.raises(MeasureError, match="SSL_CERT_FILE") as caught:
                await measurer.measure(source, rules=rules)
            assert caught.value.reason == "TLSError"


async def test_a_certificate_for_another_host_is_not_trusted(site: Site, bundle: Path) -> None:
    async with Measurer(environ={"SSL_CERT_FILE": str(bundle)}) as measurer:
        with pytest.raises(MeasureError) as caught:
            await measurer.measure(Source(site.url("/m", "127.0.0.1")), rules=LOCAL)
    assert caught.value.reason == "TLSError"


async def test_a_server_without_tls_is_told_from_one_that_is_away(serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    plain = await serve(answer)
    async with Measurer(environ={}) as measurer:
        with pytest.raises(MeasureError) as caught:
            await measurer.measure(Source(f"https://localhost:{plain.port}/m"), rules=LOCAL)
    assert caught.value.reason == "TLSError"


async def test_connections_are_kept_for_the_next_question(
    site: Site, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = 0
    connect = asyncio.open_connection

    async def counted(*args: object, **options: object) -> object:
        nonlocal opened
        opened += 1
        return await connect(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "open_connection", counted)
    async with Measurer(environ={"SSL_CERT_FILE": str(bundle)}) as measurer:
        for _ in range(3):
            await measurer.measure(Source(site.url("/m", "localhost")), rules=LOCAL)
        hub: SourceRules = rules_for(site.url("", "localhost"), "127.0.0.0/8", "::1/128")
        for index in range(3):
            await measurer.measure(Source(f"hf://a/b{index}"), rules=hub)
    assert opened == 1


def test_a_bundle_that_is_not_there_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        make_context({"SSL_CERT_FILE": str(tmp_path / "none.pem")})


def test_a_folder_of_certificates_will_do(tmp_path: Path) -> None:
    assert make_context({"SSL_CERT_DIR": str(tmp_path)}).verify_mode is ssl.CERT_REQUIRED
