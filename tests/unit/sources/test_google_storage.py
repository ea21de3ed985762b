from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER
from pullsizer.sources.measure import Measurer
from tests.stores.gcs import GcsServer

from .conftest import Listener
from .shops import as_namespace, gs_shop


async def test_where_a_key_sends_its_holder_is_not_obeyed(gcs_server: GcsServer, listener: Listener) -> None:
    shop = gs_shop(gcs_server)
    place = shop.place(False)
    place.put({"m/a": 5})
    url = f"http://127.0.0.1:{listener.port}"
    odd = {"gcs_base_url": url, "disable_oauth": True, "token_uri": url, "auth_uri": url, "universe_domain": "evil"}
    access = as_namespace(GOOGLE_APPLICATION_CREDENTIALS=json.dumps(gcs_server.service_account() | odd))
    rules = SourceRules.model_validate({"allowCIDRs": ["127.0.0.0/8"]})
    async with shop.measurer() as mapped:
        assert (await mapped.measurer.measure(shop.source(place.name, "m"), access=access, rules=rules)).bytes == 5
        assert set(mapped.asked) == {"storage.googleapis.com:443"}
    assert listener.connections == 0


async def test_an_emulator_that_the_container_names_is_asked_in_googles_place_and_shown_no_key(
    gcs_server: GcsServer,
) -> None:
    shop = gs_shop(gcs_server)
    place = shop.place(True)
    place.put({"m/a": 5})
    rules = SourceRules.model_validate({"allowCIDRs": ["127.0.0.0/8"]})
    source = replace(shop.source(place.name, "m"), endpoint=gcs_server.endpoint)
    async with shop.measurer() as mapped:
        for access in (STRANGER, shop.owner, shop.wrong):  # a wrong key would be refused, if it were shown
            assert (await mapped.measurer.measure(source, access=access, rules=rules)).bytes == 5
        assert mapped.asked == []
        with pytest.raises(MeasureError) as caught:
            await mapped.measurer.measure(source, access=shop.owner, rules=SourceRules())
        assert caught.value.reason == "AddressNotAllowed"


@pytest.mark.parametrize("endpoint", ["localhost:9023", "http://", "http://user:secret@host", "file:///etc"])
async def test_what_is_no_url_of_an_emulator_is_refused(measurer: Measurer, endpoint: str) -> None:
    with pytest.raises(MeasureError, match="STORAGE_EMULATOR_HOST") as caught:
        await measurer.measure(Source("gs://bucket/m", endpoint=endpoint), rules=SourceRules())
    assert caught.value.reason == "InvalidURI"
    assert "secret" not in str(caught.value)


async def test_marks_of_a_query_are_letters_of_a_name(gcs_server: GcsServer) -> None:
    shop = gs_shop(gcs_server)
    place = shop.place(False)
    place.put({"m?x=1#y/a": 5, "m/a": 7})
    async with shop.measurer() as mapped:
        source = shop.source(place.name, "m?x=1#y")
        assert (await mapped.measurer.measure(source, access=shop.owner, rules=shop.rules())).bytes == 5


async def test_a_file_that_is_named_itself_may_be_empty(gcs_server: GcsServer) -> None:
    shop = gs_shop(gcs_server)
    place = shop.place(False)
    place.put({"m/a": b""})
    async with shop.measurer() as mapped:
        source = shop.source(place.name, "m/a", ("*.bin",))
        found = await mapped.measurer.measure(source, access=shop.owner, rules=shop.rules())
    assert (found.bytes, found.files) == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "[]",
        "{}",
        '{"type": "authorized_user", "refresh_token": "secret"}',
        '{"client_email": "secret", "private_key": 1, "private_key_id": "1"}',
        '{"client_email": "a@b", "private_key": "secret", "private_key_id": "1"}',
        "[" * 100_000,
    ],
)
async def test_what_is_no_key_of_a_service_account_is_said_to_be_none(measurer: Measurer, text: str) -> None:
    access = as_namespace(GOOGLE_APPLICATION_CREDENTIALS=text)
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source("gs://bucket/m"), access=access, rules=SourceRules())
    assert caught.value.reason == "Unauthorized"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["gs://", "gs://bucket", "gs://bucket/", "gs:///m", "gs://Bucket/m", "gs://a@bucket/m"])
async def test_what_names_no_folder_is_refused_before_anybody_is_asked(measurer: Measurer, uri: str) -> None:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), rules=SourceRules())
    assert caught.value.reason == "InvalidURI"
