from __future__ import annotations

import base64

import pytest

from pullsizer.controller.credentials import hub_token
from pullsizer.errors import ClusterError, MeasureError
from pullsizer.policy import HubToken
from tests.unit.controller.fake import FakeApi

PATH = "/api/v1/namespaces/models/secrets/hub"
RULE = HubToken(secret_name="hub", namespaces=("models",))


def api(**data: str) -> FakeApi:
    found = FakeApi()
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    found.objects[PATH] = {"metadata": {"uid": "u", "resourceVersion": "7"}, "data": encoded}
    return found


async def test_the_scope_is_the_very_version_of_the_secret() -> None:
    found = await hub_token(api(HF_TOKEN="hf_abc\n"), "models", RULE)
    assert (found.scope, found.get("HF_TOKEN")) == ("models/u/7", "hf_abc")
    assert "hf_abc" not in repr(found)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (FakeApi(), "TokenNotFound"),
        (api(), "TokenNotFound"),
        (api(HF_TOKEN=""), "TokenInvalid"),
        (api(HF_TOKEN="a b"), "TokenInvalid"),
        (api(HF_TOKEN="a\r\nHost: evil"), "TokenInvalid"),
        (api(HF_TOKEN="ü"), "TokenInvalid"),
    ],
)
async def test_what_is_wrong_with_the_secret_is_a_coarse_reason(secret: FakeApi, reason: str) -> None:
    with pytest.raises(MeasureError) as caught:
        await hub_token(secret, "models", RULE)
    assert caught.value.reason == reason
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "TokenForbidden"), (500, "TokenUnavailable"), (0, "TokenUnavailable")]
)
async def test_so_is_an_api_server_that_does_not_give_it(status: int, reason: str) -> None:
    found = api(HF_TOKEN="x")
    found.fail["GET"] = ClusterError(status, "secret details of the server")
    with pytest.raises(MeasureError) as caught:
        await hub_token(found, "models", RULE)
    assert caught.value.reason == reason
    assert "details" not in str(caught.value)
