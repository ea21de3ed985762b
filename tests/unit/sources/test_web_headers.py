"""Headers that a Secret holds for a web server."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from yarl import URL

from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.measure import Measurer
from pullsizer.sources.redirects import Private

from .conftest import Serve

SECRET = "Bearer secret"


def access(text: str, host: str = "127.0.0.1") -> Access:
    return Access("models/uid/1", {f"{host}-headers": text})


async def for_the_known(request: web.Request) -> web.Response:
    if request.headers.get("Authorization") != SECRET:
        return web.Response(status=401)
    return web.Response(body=b"four", headers={"ETag": '"e"'})


async def test_they_are_sent_to_their_host_with_every_question(
    measurer: Measurer, serve: Serve, local: SourceRules
) -> None:
    source = Source((await serve(for_the_known)).url("/m"))
    known = access(json.dumps({"Authorization": SECRET, "X-Team": "models"}))
    facts = await measurer.measure(source, access=known, rules=local)
    assert facts.bytes == 4
    assert await measurer.unchanged(source, facts, access=known, rules=local)
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(source, rules=local)
    assert caught.value.reason == "Unauthorized"


async def test_they_are_not_sent_to_other_hosts(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    site = await serve(for_the_known)
    with pytest.raises(MeasureError):
        await measurer.measure(
            Source(site.url("/m")), access=access(json.dumps({"Authorization": SECRET}), "localhost"), rules=local
        )
    assert SECRET not in str(site.asked)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_they_do_not_follow_a_redirect_elsewhere(
    measurer: Measurer, serve: Serve, local: SourceRules, host: str
) -> None:
    async def anybody(_: web.Request) -> web.Response:
        return web.Response(body=b"four")

    elsewhere = await serve(anybody)

    async def hop(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == SECRET
        return web.Response(status=302, headers={"Location": elsewhere.url("/m", host)})

    rules = local.model_copy(update={"allow_cidrs": ("127.0.0.0/8", "::1/128")})
    site = await serve(hop)
    known = access(json.dumps({"Authorization": SECRET, "X-Key": "secret too"}))
    assert (await measurer.measure(Source(site.url("/m")), access=known, rules=rules)).bytes == 4
    assert "secret" not in str(elsewhere.asked).lower()


@pytest.mark.parametrize(
    ("there", "sent"),
    [
        ("https://a.example/x", True),
        ("https://a.example:443/y", True),
        ("https://a.example:8443/x", False),
        ("http://a.example/x", False),
        ("https://b.a.example/x", False),
        ("https://a.example.b/x", False),
    ],
)
def test_they_stay_with_one_server_and_its_tls(there: str, sent: bool) -> None:
    private = Private(URL("https://a.example/m"), {"Authorization": SECRET})
    assert bool(private.at(URL(there))) == sent
    assert SECRET not in repr(private)


def test_tls_may_be_added_on_the_way() -> None:
    private = Private(URL("http://a.example/m"), {"Authorization": SECRET})
    assert private.at(URL("https://a.example/m"))
    assert not private.at(URL("https://b.example/m"))
    assert not Private(URL("http://a.example:8080/m"), {"Authorization": SECRET}).at(URL("https://a.example/m"))


async def test_those_about_the_connection_are_ours(measurer: Measurer, serve: Serve, local: SourceRules) -> None:
    site = await serve(for_the_known)
    text = json.dumps({"authorization": SECRET, "range": "bytes=5-6", "HOST": "b.example", "Transfer-Encoding": "x"})
    await measurer.measure(Source(site.url("/m")), access=access(text), rules=local)
    for _, _, headers in site.asked:
        assert headers["Host"] == f"127.0.0.1:{site.port}"
        assert headers.get("Range", "bytes=0-0") == "bytes=0-0"
        assert "range" not in headers


@pytest.mark.parametrize(
    "text",
    [
        "secret", '"secret"', '["secret"]', '{"a": 5}', '{"a": "secret\\r\\nb: c"}', '{"secret b": "c"}',
        '{"": "secret"}', '{"a": "secr\\u00e9t"}', json.dumps({"a": "secret" * 10_000}), "[" * 10_000,
    ],
)  # fmt: skip
async def test_what_are_no_headers_is_said_without_telling_them(
    measurer: Measurer, serve: Serve, local: SourceRules, text: str
) -> None:
    site = await serve(for_the_known)
    with pytest.raises(MeasureError, match="write a JSON object") as caught:
        await measurer.measure(Source(site.url("/m")), access=access(text), rules=local)
    assert caught.value.reason == "Unauthorized"
    assert "secr" not in str(caught.value).replace("Secret", "")
    assert site.asked == []
