"""What is found to ask with: as KServe v0.20.0 would put it into the downloader's container."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from pullsizer.account import NOBODY, Account, FromSecret, Storage
from pullsizer.controller.credentials import Credentials, Found
from pullsizer.errors import ClusterError, MeasureError
from pullsizer.kserve_credentials import CredentialConfig, credential_config
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER
from tests.unit.controller.fake import FakeApi

Json = Mapping[str, str]

CORE = "/api/v1/namespaces/models"
ALLOWED = SourceRules.model_validate({"credentials": {"namespaces": ["models"]}})
HUB = SourceRules.model_validate({"huggingFace": {"token": {"secretName": "hub", "namespaces": ["models"]}}})
BUCKET, BERT = Source("s3://bucket/bert"), Source("hf://org/bert")
S3 = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hush"}
IRSA = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"}


class World:
    """A namespace with Secrets, and a ServiceAccount that lists them in the order in which they were made."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.config = CredentialConfig()
        self.service_account()

    def service_account(self, name: str = "default", *secrets: str, **more: Any) -> None:
        item = {"metadata": {"annotations": more.pop("annotations", {})}, "secrets": [{"name": s} for s in secrets]}
        self.api.objects[f"{CORE}/serviceaccounts/{name}"] = item | more

    def secret(self, name: str, data: dict[str, str], annotations: Json | None = None, *, listed: bool = True) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        named = {f"serving.kserve.io/{key}": value for key, value in (annotations or {}).items()}
        metadata = {"uid": f"uid-{name}", "resourceVersion": "7", "annotations": named}
        self.api.objects[f"{CORE}/secrets/{name}"] = {"metadata": metadata, "data": encoded}
        if listed:
            self.api.objects[f"{CORE}/serviceaccounts/default"]["secrets"].append({"name": name})

    async def find(self, source: Source, account: Account = NOBODY, rules: SourceRules = ALLOWED) -> Found:
        return await Credentials(self.api, lambda: self.config, "kserve").find(source, "models", account, rules)

    async def refused(self, source: Source, account: Account = NOBODY, rules: SourceRules = ALLOWED) -> MeasureError:
        with pytest.raises(MeasureError) as caught:
            await self.find(source, account, rules)
        return caught.value


@pytest.fixture
def world() -> World:
    return World()


# -- whose --------------------------------------------------------------------------------------------------------


async def test_nothing_is_read_in_a_namespace_that_the_policy_does_not_list(world: World) -> None:
    world.secret("s3", S3)
    found = await world.find(BUCKET, rules=SourceRules())
    assert found.access == STRANGER
    assert world.api.calls == []
    assert "sources.credentials.namespaces" in str(found.refused)


async def test_the_secrets_of_the_services_own_service_account_count(world: World) -> None:
    world.secret("theirs", {"HF_TOKEN": "hf_theirs"})
    world.secret("mine", {"HF_TOKEN": "hf_mine"}, listed=False)
    world.service_account("trainer", "mine")
    found = await world.find(BERT, Account(service_account="trainer"))
    assert found.access.environment == {"HF_TOKEN": "hf_mine"}
    assert found.access.scope == "models/uid-mine/7"
    assert "'mine'" in str(found.refused)


async def test_the_annotations_secret_counts_in_place_of_them(world: World) -> None:
    world.secret("theirs", {"HF_TOKEN": "hf_theirs"})
    world.secret("mine", {"HF_TOKEN": "hf_mine"}, listed=False)
    assert (await world.find(BERT, Account(secret="mine"))).access.get("HF_TOKEN") == "hf_mine"


async def test_a_secret_means_what_its_first_known_key_means_and_nothing_else(world: World) -> None:
    world.secret("both", {**S3, "HF_TOKEN": "hf_x"})
    assert (await world.find(BERT)).stranger
    assert (await world.find(BUCKET)).access.get("AWS_SECRET_ACCESS_KEY") == "hush"


async def test_several_secrets_are_for_several_stores_and_each_store_sees_its_own(world: World) -> None:
    world.secret("s3", S3)
    world.secret("hub", {"HF_TOKEN": "hf_x"})
    world.secret("web", {"https-host": "models.example.com", "headers": '{"Authorization": "x"}'})
    assert set((await world.find(BUCKET)).access.environment) == set(S3)
    assert set((await world.find(BERT)).access.environment) == {"HF_TOKEN"}
    mine = await world.find(Source("https://models.example.com/a.zip"))
    assert mine.access.environment == {"models.example.com-headers": '{"Authorization": "x"}'}
    assert (await world.find(Source("https://elsewhere.example.com/a.zip"))).stranger


@pytest.mark.parametrize(
    ("data", "uri", "expected"),
    [
        ({"gcloud-application-credentials.json": "{}"}, "gs://b/m", {"GOOGLE_APPLICATION_CREDENTIALS": "{}"}),
        (
            {"AZ_CLIENT_ID": "old", "AZURE_CLIENT_ID": "new", "AZURE_CLIENT_SECRET": "s", "AZURE_TENANT_ID": "t"},
            "https://account.blob.core.windows.net/c/m",
            {"AZURE_CLIENT_ID": "old", "AZURE_CLIENT_SECRET": "s", "AZURE_TENANT_ID": "t"},
        ),
        (
            {"AZURE_ACCESS_TOKEN": "t"},
            "https://account.blob.core.windows.net/c/m",
            {"AZURE_ACCESS_TOKEN": "t"},
        ),
        (
            {"AZURE_STORAGE_ACCESS_KEY": "k", "AZURE_ACCOUNT_NAME": "not with a key"},
            "https://account.file.core.windows.net/c/m",
            {"AZURE_STORAGE_ACCESS_KEY": "k"},
        ),
        (
            {"HDFS_NAMENODE": "https://nn:9870", "USER_PROXY": "u", "other": "x"},
            "hdfs://models/m",
            {"HDFS_NAMENODE": "https://nn:9870", "USER_PROXY": "u"},
        ),
        ({"MODELSCOPE_API_TOKEN": "t"}, "modelscope://org/m", {"MODELSCOPE_API_TOKEN": "t"}),
    ],
)
async def test_every_kind_of_secret_becomes_the_downloaders_variables(
    world: World, data: dict[str, str], uri: str, expected: dict[str, str]
) -> None:
    world.secret("store", data)
    assert (await world.find(Source(uri))).access.environment == expected


async def test_variables_of_the_container_itself_outweigh(world: World) -> None:
    world.secret("account", {"HF_TOKEN": "hf_account"})
    world.secret("container", {"token": "hf_container"}, listed=False)
    account = Account(variables=(FromSecret("HF_TOKEN", "container", "token"), FromSecret("OTHER", "unread", "x")))
    found = await world.find(BERT, account)
    assert found.access.get("HF_TOKEN") == "hf_container"
    assert found.access.scope == "models/uid-container/7"


# -- s3 -----------------------------------------------------------------------------------------------------------


async def test_annotations_outweigh_keys_and_those_what_kserve_is_told(world: World) -> None:
    kserve = {"s3": {"s3Region": "of-kserve", "s3VerifySSL": "1", "s3Endpoint": "kserve:9000"}}
    world.config = credential_config({"data": {"credentials": json.dumps(kserve)}})
    keys = {"awsAccessKeyID": "key", "awsSecretAccessKey": "hush", "AWS_DEFAULT_REGION": "of-secret"}
    world.secret("s3", {**keys, "S3_ENDPOINT": "secret:9000", "S3_USE_HTTPS": "0"}, {"s3-endpoint": "annotated:9000"})
    found = await world.find(BUCKET)
    assert found.access.environment == {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_DEFAULT_REGION": "of-secret",
        "S3_VERIFY_SSL": "1",
        "AWS_ENDPOINT_URL": "http://annotated:9000",
    }
    assert found.source.endpoint == "http://annotated:9000"


@pytest.mark.parametrize(
    ("endpoint", "https", "expected"),
    [
        ("minio:9000", "0", "http://minio:9000"),
        ("minio:9000", "1", "https://minio:9000"),
        ("minio:9000", "", "https://minio:9000"),
        (" HTTP://minio:9000 ", "1", "HTTP://minio:9000"),
        ("https://minio:9000", "0", "https://minio:9000"),
    ],
)
async def test_an_endpoint_is_plain_http_only_where_somebody_says_so(
    world: World, endpoint: str, https: str, expected: str
) -> None:
    world.secret("s3", S3, {"s3-endpoint": endpoint, "s3-usehttps": https})
    assert (await world.find(BUCKET)).source.endpoint == expected


async def test_another_endpoint_is_another_scope_which_does_not_tell_it(world: World) -> None:
    world.secret("s3", S3, {"s3-endpoint": "minio:9000"})
    scope = (await world.find(BUCKET)).access.scope
    assert scope.startswith("models/uid-s3/7@")
    assert "minio" not in scope
    world.secret("s3", S3, {"s3-endpoint": "other:9000"}, listed=False)
    assert (await world.find(BUCKET)).access.scope != scope


async def test_the_endpoint_that_the_container_shows_is_the_one(world: World) -> None:
    world.secret("s3", S3, {"s3-endpoint": "changed-meanwhile:9000"})
    found = await world.find(Source(BUCKET.uri, endpoint="http://minio:9000"))
    assert found.source.endpoint == "http://minio:9000"


async def test_a_users_endpoint_without_credentials_is_still_the_namespaces_own(world: World) -> None:
    account = Account(settings=(("S3_VERIFY_SSL", "0"), ("AWS_DEFAULT_REGION", "eu")))
    found = await world.find(Source(BUCKET.uri, endpoint="http://minio:9000"), account, SourceRules())
    assert found.access.scope.startswith("models/@")
    assert found.access.environment == {"S3_VERIFY_SSL": "0", "AWS_DEFAULT_REGION": "eu"}


@pytest.mark.parametrize(
    ("annotations", "kserve", "configmap", "key"),
    [
        ({"s3-cabundle-configmap": "ours", "s3-cabundle": "/certs/ca.pem"}, "", "ours", "ca.pem"),
        ({"s3-cabundle-configmap": "ours"}, "theirs", "ours", "cabundle.crt"),
        ({}, "theirs", "global-ca-bundle", "cabundle.crt"),
    ],
)
async def test_certificates_to_trust_are_read_from_the_configmap_that_would_be_mounted(
    world: World, annotations: dict[str, str], kserve: str, configmap: str, key: str
) -> None:
    world.config = CredentialConfig(ca_configmap=kserve)
    world.secret("s3", S3, annotations)
    world.api.objects[f"{CORE}/configmaps/{configmap}"] = {"data": {key: "PEM"}}
    assert (await world.find(BUCKET)).access.get("AWS_CA_BUNDLE") == "PEM"


async def test_a_path_to_certificates_within_kserves_image_is_not_for_us(world: World) -> None:
    world.secret("s3", S3, {"s3-cabundle": "/etc/ssl/ca.pem"})
    assert "AWS_CA_BUNDLE" not in (await world.find(BUCKET)).access.environment


# -- storage ------------------------------------------------------------------------------------------------------

MINIO = {
    "type": "s3",
    "bucket": "bucket",
    "endpoint_url": "http://minio:9000",
    "access_key_id": "key",
    "secret_access_key": "hush",
}


async def test_storage_is_all_that_counts_where_there_is_one(world: World) -> None:
    world.secret("s3", {"AWS_ACCESS_KEY_ID": "not", "AWS_SECRET_ACCESS_KEY": "this"})
    world.secret("storage-config", {"minio": json.dumps(MINIO)}, listed=False)
    account = Account(storage=Storage("minio", (("region", "eu"),)))
    found = await world.find(BUCKET, account)
    assert found.source.endpoint == "http://minio:9000"
    assert found.access.scope.startswith("models/uid-storage-config/7@")
    assert {k: found.access.get(k) for k in (*S3, "AWS_DEFAULT_REGION")} == {**S3, "AWS_DEFAULT_REGION": "eu"}
    assert world.api.calls == [("GET", f"{CORE}/secrets/storage-config")]


@pytest.mark.parametrize(
    ("data", "storage", "uri"),
    [
        ({"minio": MINIO}, Storage("minio"), "s3://bucket/a/bert"),
        ({"default": MINIO}, Storage(), "s3://bucket/a/bert"),
        ({"minio": MINIO}, Storage("minio", (("bucket", "mine"),)), "s3://mine/a/bert"),
        ({"default_s3": MINIO}, Storage("", (("bucket", "mine"), ("type", "s3"))), "s3://mine/a/bert"),
        ({}, Storage("", (("bucket", "mine"), ("type", "s3"))), "s3://mine/a/bert"),
        ({"hadoop": {"type": "webhdfs"}}, Storage("hadoop"), "webhdfs://a/bert"),
    ],
)
async def test_the_uri_of_a_storage_is_what_kserve_makes_of_it(
    world: World, data: dict[str, Any], storage: Storage, uri: str
) -> None:
    if data:
        world.secret("storage-config", {key: json.dumps(value) for key, value in data.items()})
    credentials = Credentials(world.api, lambda: world.config, "kserve")
    assert await credentials.storage_uri("models", Account(storage=storage), "/a/bert") == uri


@pytest.mark.parametrize(
    ("data", "storage", "reason"),
    [
        (None, Storage("minio"), "SecretNotFound"),
        (None, Storage(), "InvalidURI"),
        ({"other": "{}"}, Storage("minio"), "SecretInvalid"),
        ({"minio": "hush"}, Storage("minio"), "SecretInvalid"),
        ({"minio": '{"type": 3, "key": "hush"}'}, Storage("minio"), "SecretInvalid"),
        ({"minio": '{"type": "ftp", "key": "hush"}'}, Storage("minio"), "InvalidURI"),
        # As KServe: with a type beside it, the Secret's bucket does not count.
        ({"minio": json.dumps(MINIO)}, Storage("minio", (("type", "s3"),)), "InvalidURI"),
    ],
)
async def test_a_storage_that_means_nothing_says_what_is_missing(
    world: World, data: dict[str, str] | None, storage: Storage, reason: str
) -> None:
    if data is not None:
        world.secret("storage-config", data)
    credentials = Credentials(world.api, lambda: world.config, "kserve")
    with pytest.raises(MeasureError) as caught:
        await credentials.storage_uri("models", Account(storage=storage), "bert")
    assert caught.value.reason == reason
    assert "hush" not in str(caught.value)


async def test_a_storage_is_not_looked_for_elsewhere_where_its_secret_may_not_be_read(world: World) -> None:
    error = await world.refused(BUCKET, Account(storage=Storage("minio")), SourceRules())
    assert error.reason == "Unauthorized"
    assert world.api.calls == []


# -- images -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", [Account(pull_secret="pod"), NOBODY])
async def test_an_image_is_fetched_with_the_first_pull_secret_of_pod_or_service_account(
    world: World, account: Account
) -> None:
    for name in ("pod", "account"):
        world.secret(name, {".dockerconfigjson": name}, listed=False)
    world.service_account("default", imagePullSecrets=[{"name": "account"}, {"name": "second"}])
    found = await world.find(Source("oci+fetch://registry.example.com/m:1"), account)
    assert found.access.environment == {"KSERVE_OCI_DOCKER_CONFIG": account.pull_secret or "account"}


# -- the Hub's token of the administrator -------------------------------------------------------------------------


async def test_the_administrators_token_is_from_the_secret_that_the_policy_names(world: World) -> None:
    world.secret("hub", {"HF_TOKEN": "hf_abc\n"}, listed=False)
    found = await world.find(BERT, rules=HUB)
    assert (found.access.scope, found.access.get("HF_TOKEN")) == ("models/uid-hub/7", "hf_abc")
    assert "hf_abc" not in repr(found)


async def test_it_is_never_for_a_hub_that_a_user_names(world: World) -> None:
    world.secret("hub", {"HF_TOKEN": "hf_abc"}, listed=False)
    found = await world.find(Source(BERT.uri, endpoint="https://hub.of.a.user"), rules=HUB)
    assert found.access.environment == {}
    assert world.api.calls == []


@pytest.mark.parametrize("token", ["", "a b", "a\r\nHost: evil", "ü"])
async def test_what_is_no_token_is_not_sent(world: World, token: str) -> None:
    world.secret("hub", {"HF_TOKEN": token}, listed=False)
    error = await world.refused(BERT, rules=HUB)
    assert error.reason == "SecretInvalid"
    assert "evil" not in str(error)


# -- what is said where it is not enough --------------------------------------------------------------------------


async def test_who_has_nothing_is_told_which_service_account_lacks_a_secret(world: World) -> None:
    found = await world.find(BERT)
    assert found.stranger
    assert found.refused.reason == "NoCredentials"
    assert "ServiceAccount 'default'" in str(found.refused)


@pytest.mark.parametrize(
    ("uri", "annotation"),
    [
        ("s3://b/m", "eks.amazonaws.com/role-arn"),
        ("gs://b/m", "iam.gke.io/gcp-service-account"),
        ("https://account.blob.core.windows.net/c/m", "azure.workload.identity/client-id"),
    ],
)
async def test_a_clouds_identity_is_left_alone_and_its_owner_told_so(world: World, uri: str, annotation: str) -> None:
    world.service_account("default", annotations={annotation: "arn:of:somebody"})
    found = await world.find(Source(uri))
    assert found.refused.reason == "WorkloadIdentity"
    assert annotation in str(found.refused)
    assert "somebody" not in str(found.refused)


async def test_a_role_s_account_may_say_how_the_store_is_spoken_to(world: World) -> None:
    world.service_account("default", annotations={**IRSA, "serving.kserve.io/s3-region": "eu"})
    assert (await world.find(BUCKET)).access.environment == {"AWS_DEFAULT_REGION": "eu"}
    world.service_account("default", annotations={"serving.kserve.io/s3-region": "eu"})
    assert (await world.find(BUCKET)).stranger


async def test_a_secret_that_is_listed_and_not_there_is_named(world: World) -> None:
    world.service_account("default", "gone")
    error = await world.refused(BERT)
    assert error.reason == "SecretNotFound"
    assert "'gone'" in str(error)


@pytest.mark.parametrize(("status", "reason"), [(403, "SecretForbidden"), (500, "SecretUnavailable")])
async def test_an_api_server_that_does_not_give_it_is_a_coarse_reason(world: World, status: int, reason: str) -> None:
    world.api.fail["GET"] = ClusterError(status, "secret details of the server")
    error = await world.refused(BERT)
    assert error.reason == reason
    assert "details" not in str(error)
    assert status != 403 or "deploy/components/credentials" in str(error)


@pytest.mark.parametrize("name", ["../../kube-system/secrets/admin", "a/b", "A", "", "x" * 300])
async def test_no_name_that_a_user_writes_becomes_another_path(world: World, name: str) -> None:
    account = Account(variables=(FromSecret("HF_TOKEN", name, "k"),))
    assert (await world.refused(BERT, account)).reason == "SecretNotFound"
    assert [path for _, path in world.api.calls] == [f"{CORE}/serviceaccounts/default"]


async def test_no_more_secrets_are_read_than_anybody_has(world: World) -> None:
    for number in range(40):
        world.secret(f"s{number}", {"unknown": "x"})
    assert (await world.find(BERT)).stranger
    assert len(world.api.calls) == 1 + 32


async def test_nothing_of_a_secret_is_in_what_is_printed(world: World) -> None:
    world.secret("s3", S3)
    found = await world.find(BUCKET)
    assert "hush" not in f"{found!r} {found.refused!r} {found.refused}"
