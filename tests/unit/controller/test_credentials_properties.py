"""Whatever Secrets hold: a store is shown what is for it, and what goes wrong has a name and tells nothing."""

from __future__ import annotations

import asyncio
import base64

from hypothesis import given
from hypothesis import strategies as st

from pullsizer.account import NOBODY, Account, Storage
from pullsizer.controller.credentials import Credentials, Found
from pullsizer.controller.credentials.rules import variables_for
from pullsizer.errors import MeasureError
from pullsizer.kserve_credentials import CredentialConfig
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from tests.unit.controller.fake import FakeApi

ALLOWED = SourceRules.model_validate({"credentials": {"namespaces": ["models"]}})
CORE = "/api/v1/namespaces/models"
MARK = "hush-hush"

KEYS = st.sampled_from(
    [
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "S3_ENDPOINT", "gcloud-application-credentials.json",
        "AZ_CLIENT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_ACCESS_TOKEN", "AZURE_STORAGE_ACCESS_KEY",
        "https-host", "headers", "HDFS_NAMENODE", "HF_TOKEN", "MODELSCOPE_API_TOKEN", ".dockerconfigjson", "default",
    ]
)  # fmt: skip
VALUES = st.one_of(
    st.text().map(lambda text: base64.b64encode(f"{MARK}{text}".encode()).decode()),
    st.binary().map(lambda data: base64.b64encode(data).decode()),
    st.sampled_from(["", "%", base64.b64encode(b'{"type": "s3", "secret_access_key": "hush-hush"}').decode()]),
)
SECRETS = st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=4)
URIS = st.sampled_from(
    [
        "s3://b/m", "gs://b/m", "hf://o/m", "https://h/m.zip", "https://a.blob.core.windows.net/c/m", "hdfs://m",
        "oci://r/m", "modelscope://o/m", "https://h/m.git", "ftp://x",
    ]
)  # fmt: skip


async def outcome(api: FakeApi, source: Source, account: Account) -> Found | MeasureError:
    try:
        return await Credentials(api, CredentialConfig, "kserve").find(source, "models", account, ALLOWED)
    except MeasureError as error:
        return error


@given(SECRETS, URIS, st.sampled_from([NOBODY, Account(storage=Storage()), Account(secret="s0")]))
def test_a_store_is_shown_what_is_for_it_and_nothing_is_told(
    secrets: list[dict[str, str]], uri: str, account: Account
) -> None:
    api = FakeApi()
    names = [f"s{number}" for number in range(len(secrets))]
    for name, data in zip([*names, "storage-config"], [*secrets, *secrets[:1]], strict=False):
        api.objects[f"{CORE}/secrets/{name}"] = {"metadata": {"uid": name, "resourceVersion": "1"}, "data": data}
    listed = [{"name": name} for name in names]
    api.objects[f"{CORE}/serviceaccounts/default"] = {"metadata": {}, "secrets": listed, "imagePullSecrets": listed}
    source = Source(uri)
    found = asyncio.run(outcome(api, source, account))
    if isinstance(found, MeasureError):
        assert MARK not in str(found)
        return
    assert MARK not in f"{found.access!r} {found.refused}"
    assert set(found.access.environment) <= variables_for(source)
    assert found.stranger or found.access.scope.startswith("models/")
    assert len(found.access.scope) <= 512
