"""From a Secret to the wire: what a store is sent is for that store, and follows no redirect to another."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from aiohttp import web

from pullsizer.account import NOBODY
from pullsizer.controller.credentials import Credentials
from pullsizer.errors import MeasureError
from pullsizer.kserve_credentials import CredentialConfig
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.measure import Measurer
from tests.unit.controller.fake import FakeApi

from .conftest import Serve, Site

CORE = "/api/v1/namespaces/models"
S3 = {"AWS_ACCESS_KEY_ID": "AKIA_OF_MODELS", "AWS_SECRET_ACCESS_KEY": "hush"}
HUB = {"HF_TOKEN": "hf_hush"}


def secret(api: FakeApi, name: str, data: dict[str, str], **annotations: str) -> None:
    """Attached to the namespace's default ServiceAccount."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"uid": f"uid-{name}", "resourceVersion": "1", "annotations": annotations}
    api.objects[f"{CORE}/secrets/{name}"] = {"metadata": metadata, "data": encoded}
    account: dict[str, Any] = api.objects.setdefault(f"{CORE}/serviceaccounts/default", {"metadata": {}, "secrets": []})
    account["secrets"].append({"name": name})


async def ask(api: FakeApi, measurer: Measurer, source: Source, rules: SourceRules) -> None:
    """With what the namespace's Secrets have for it; how it ends does not matter here."""
    found = await Credentials(api, CredentialConfig, "kserve").find(source, "models", NOBODY, rules)
    with pytest.raises(MeasureError):
        await measurer.measure(found.source, access=found.access, rules=rules)


def words(site: Site) -> str:
    return "\n".join(f"{name}: {value}" for *_, headers in site.asked for name, value in headers.items())


@pytest.fixture
def allowed(local: SourceRules) -> SourceRules:
    return local.model_copy(update={"credentials": local.credentials.model_copy(update={"namespaces": ("models",)})})


@pytest.mark.parametrize("kind", ["s3", "hf", "http"])
async def test_credentials_go_to_the_store_they_are_for_and_not_where_it_redirects(
    measurer: Measurer, serve: Serve, allowed: SourceRules, kind: str
) -> None:
    async def nothing(_: web.Request) -> web.Response:
        return web.Response(status=404)

    other = await serve(nothing)

    async def elsewhere(request: web.Request) -> web.Response:
        # By another host name, as by another port alone some clients would call it the same.
        return web.Response(status=307, headers={"Location": other.url(request.path_qs, "localhost")})

    store = await serve(elsewhere)
    api = FakeApi()
    secret(api, "s3", S3, **{"serving.kserve.io/s3-endpoint": store.url("")})
    secret(api, "hub", HUB)
    secret(api, "web", {"https-host": "127.0.0.1", "headers": '{"Authorization": "Bearer web_hush"}'})
    source, mine = {
        "s3": (Source("s3://bucket/bert"), "AKIA_OF_MODELS"),
        "hf": (Source("hf://org/bert", endpoint=store.url("")), "hf_hush"),
        "http": (Source(store.url("/bert.zip")), "web_hush"),
    }[kind]
    await ask(api, measurer, source, allowed)

    assert mine in words(store)
    for theirs in {"AKIA_OF_MODELS", "hf_hush", "web_hush"} - {mine}:
        assert theirs not in words(store)
    assert "hush" not in words(other)
    assert "AKIA_OF_MODELS" not in words(other)


async def test_the_administrators_token_is_not_sent_to_a_hub_that_a_user_names(
    measurer: Measurer, serve: Serve, local: SourceRules
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=401)

    theirs = await serve(refuse)
    token = {"secretName": "hub", "namespaces": ["models"]}
    rules = SourceRules.model_validate({"huggingFace": {"token": token}, "allowCIDRs": ["127.0.0.0/8"]})
    api = FakeApi()
    secret(api, "hub", HUB)
    await ask(api, measurer, Source("hf://org/bert", endpoint=theirs.url("")), rules)
    assert theirs.asked
    assert "hf_hush" not in words(theirs)
