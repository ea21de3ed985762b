from __future__ import annotations

import pytest
from aiohttp import web

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.measure import Measurer

from .conftest import Listener, Serve, rules_for


async def refused(measurer: Measurer, uri: str, rules: SourceRules) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), rules=rules)
    return caught.value


@pytest.mark.parametrize("inside", ["http://{}/", "http://127.0.0.1:{}/", "http://[::ffff:127.0.0.1]:{}/x"])
async def test_a_redirect_to_the_inside_is_not_followed(
    measurer: Measurer, serve: Serve, listener: Listener, inside: str
) -> None:
    async def hop(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": inside.format(listener.port)})

    site = await serve(hop)
    error = await refused(measurer, site.url("/m"), rules_for(site.url("")))
    assert isinstance(error, EgressDenied) or error.reason == "InvalidURI"
    assert listener.connections == 0
    assert str(listener.port) not in str(error)


@pytest.mark.parametrize(
    "location", ["http://[", "http://a:b/", "http://a b/", "file:///etc/passwd", "gopher://a.example/"]
)
async def test_a_redirect_to_what_is_no_url_is_odd(
    measurer: Measurer, serve: Serve, local: SourceRules, location: str
) -> None:
    async def hop(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    site = await serve(hop)
    error = await refused(measurer, site.url("/m"), local)
    assert error.reason in ("InvalidAnswer", "InvalidURI")
    assert "passwd" not in str(error)


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest/meta-data/x", "https://169.254.169.254/x", "http://localhost/x",
        "http://127.0.0.1/x", "http://[::1]/x", "http://[::ffff:169.254.169.254]/x", "http://[fd00:ec2::254]/x",
        "http://0.0.0.0/x", "http://10.96.0.1/x", "https://[64:ff9b::a00:1]/x", "http://LOCALHOST./x",
    ],
)  # fmt: skip
async def test_the_inside_is_denied_with_the_remedy(measurer: Measurer, uri: str) -> None:
    error = await refused(measurer, uri, SourceRules())
    assert isinstance(error, EgressDenied)
    assert "sources.allowCIDRs" in str(error)


async def test_a_denial_does_not_tell_the_address_of_a_name(measurer: Measurer) -> None:
    error = await refused(measurer, "http://localhost/x", SourceRules())
    assert "'localhost'" in str(error)
    assert "127." not in str(error)
    assert "::1" not in str(error)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://2130706433/x", "InvalidURI"),
        ("http://0x7f.0.0.1/x", "InvalidURI"),
        ("http://127.1/x", "InvalidURI"),
        ("http:///x", "InvalidURI"),
        ("http://a.example", "InvalidURI"),
        ("http://a.example/folder/", "InvalidURI"),
        ("http://a.example:99999/x", "InvalidURI"),
        ("http://a.example:0/x", "InvalidURI"),
        ("http://[::1/x", "InvalidURI"),
        ("http://a.example/x y", "InvalidURI"),
        ("http://a.example/x\r\nHost: b", "InvalidURI"),
        ("http://me:secret@a.example/x", "UnsupportedSource"),
    ],
)
async def test_what_is_no_single_file_is_not_asked_for(measurer: Measurer, uri: str, reason: str) -> None:
    error = await refused(measurer, uri, SourceRules())
    assert error.reason == reason
    assert "secret" not in str(error)


async def test_what_does_not_exist_or_answer_is_unavailable(
    measurer: Measurer, listener: Listener, local: SourceRules
) -> None:
    assert "cannot be resolved" in str(await refused(measurer, "https://no.such.host.invalid/x", local))
    for scheme in ("http", "https"):
        error = await refused(measurer, f"{scheme}://127.0.0.1:{listener.port}/x", local)
        assert error.reason == "SourceUnavailable"
    assert listener.connections
