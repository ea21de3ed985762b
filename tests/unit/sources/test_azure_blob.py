from __future__ import annotations

from urllib.parse import urlencode

import pytest
from aiohttp import web

from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER, Access
from pullsizer.sources.measure import Measurer
from tests.stores.azure import AzureServer
from tests.stores.servers import Servers

from .conftest import Serve
from .mapped import mapped
from .shops import HOSTS, as_namespace, azure_shop, listing, tls_of

LOGIN = "login.microsoftonline.com"


async def test_names_need_only_begin_with_the_prefix_and_filters_apply_to_all(azure_server: AzureServer) -> None:
    shop = azure_shop(azure_server)
    place = shop.place(False)
    place.put({"m/bert": 1, "m/bert/a": 10, "m/bert-large/a": 100, "m/bert.bin": 1000, "m/ber": 5, "m/c": 5})
    async with shop.measurer() as there:
        for patterns, size in (((), 1111), (("a", "bert"), 11)):
            for slash in ("", "/"):
                source = shop.source(place.name, f"m/bert{slash}", patterns)
                assert (await there.measurer.measure(source, access=shop.owner, rules=shop.rules())).bytes == size


async def test_a_signature_in_the_uri_is_used_as_the_downloader_does(azure_server: AzureServer) -> None:
    shop = azure_shop(azure_server)
    place = shop.place(False)
    place.put({"m/a": 5})
    good = Source(f"{shop.source(place.name, 'm').uri}?{urlencode(azure_server.signature())}")
    bad = Source(good.uri.replace("sig=", "sig=AAAA"))
    async with shop.measurer() as there:
        assert (await there.measurer.measure(good, rules=shop.rules())).bytes == 5
        with pytest.raises(MeasureError) as caught:
            await there.measurer.measure(bad, rules=shop.rules())
        # The account's key comes first.
        assert (await there.measurer.measure(bad, access=shop.owner, rules=shop.rules())).bytes == 5
    assert caught.value.reason == "Unauthorized"
    assert "sig" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 404, 409])
async def test_what_is_private_does_not_exist_for_strangers_and_that_is_no_answer(
    serve: Serve, store_servers: Servers, status: int
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    site = await serve(answer, tls_of(store_servers, HOSTS["azure"]))
    source = Source(f"https://{HOSTS['azure']}/container/m")
    known = as_namespace(AZURE_STORAGE_ACCESS_KEY="a2V5")
    async with mapped({f"{HOSTS['azure']}:443": site.url("")}, store_servers.pki.ca) as there:
        for access, reason in (
            (STRANGER, "Unauthorized"),
            (known, {404: "NotFound", 409: "InvalidAnswer"}.get(status)),
        ):
            with pytest.raises(MeasureError) as caught:
                await there.measurer.measure(source, access=access, rules=SourceRules())
            assert caught.value.reason == (reason or "Unauthorized")


@pytest.mark.parametrize("prefix", ["AZ", "AZURE"])
async def test_a_service_principal_gets_its_token_first(serve: Serve, store_servers: Servers, prefix: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.host == LOGIN:
            form = await request.post()
            assert (form["client_id"], form["client_secret"]) == ("client", "secret")
            return web.json_response({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"})
        if request.method == "HEAD":
            return web.Response(status=404)
        return listing("azure", {"m/a": 5})

    site = await serve(answer, tls_of(store_servers, LOGIN, HOSTS["azure"]))
    names = dict.fromkeys((f"{LOGIN}:443", f"{HOSTS['azure']}:443"), site.url(""))
    given = {"CLIENT_ID": "client", "CLIENT_SECRET": "secret", "TENANT_ID": "tenant"}
    access = as_namespace(
        **{f"{prefix}_{name}": value for name, value in given.items()}, AZURE_STORAGE_ACCESS_KEY="a2V5"
    )
    source = Source(f"https://{HOSTS['azure']}/container/m")
    async with mapped(names, store_servers.pki.ca) as there:
        assert (await there.measurer.measure(source, access=access, rules=SourceRules())).bytes == 5
    hosts = [(headers["Host"], headers.get("Authorization")) for _, _, headers in site.asked]
    assert hosts == [(LOGIN, None), (HOSTS["azure"], "Bearer token"), (HOSTS["azure"], "Bearer token")]


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_a_token_that_is_not_given_is_told(serve: Serve, store_servers: Servers, status: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text="leaked")

    site = await serve(answer, tls_of(store_servers, LOGIN))
    access = as_namespace(AZURE_CLIENT_ID="c", AZURE_CLIENT_SECRET="secret", AZURE_TENANT_ID="t")
    async with mapped({f"{LOGIN}:443": site.url("")}, store_servers.pki.ca) as there:
        with pytest.raises(MeasureError) as caught:
            await there.measurer.measure(
                Source(f"https://{HOSTS['azure']}/container/m"), access=access, rules=SourceRules()
            )
    assert caught.value.reason == ("SourceUnavailable" if status == 500 else "Unauthorized")
    assert not {"leaked", "secret"} & set(str(caught.value).split())


@pytest.mark.parametrize(
    "access",
    [STRANGER, as_namespace(AZURE_STORAGE_ACCESS_KEY="not base64!")],
)
@pytest.mark.parametrize(
    "uri",
    [
        "https://account.blob.core.windows.net/container",
        "https://account.blob.core.windows.net/Odd_Container/m",
        "https://account.blob.core.windows.net//m",
        "https://user:password@account.blob.core.windows.net/container/m",
        "https://a b.blob.core.windows.net/container/m",
    ],
)
async def test_what_names_no_container_is_refused_before_anybody_is_asked(
    measurer: Measurer, uri: str, access: Access
) -> None:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), access=access, rules=SourceRules())
    assert caught.value.reason == "InvalidURI"
    assert "password" not in str(caught.value)


async def test_a_key_that_is_none_is_said_to_be_none(measurer: Measurer) -> None:
    access = as_namespace(AZURE_STORAGE_ACCESS_KEY="not base64!")
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(f"https://{HOSTS['azure']}/container/m"), access=access, rules=SourceRules())
    assert caught.value.reason == "Unauthorized"
    assert "base64" not in str(caught.value)
