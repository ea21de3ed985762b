"""How KServe is told to find credentials: what its ConfigMap `inferenceservice-config` says about that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = Mapping[str, Any]

# KServe v0.20.0, pkg/credentials/s3/s3_secret.go: variables of the downloader, and keys of the ConfigMap for each.
S3_KEYS: Final[Mapping[str, str]] = {
    "S3_ENDPOINT": "s3Endpoint",
    "S3_USE_HTTPS": "s3UseHttps",
    "S3_VERIFY_SSL": "s3VerifySSL",
    "AWS_DEFAULT_REGION": "s3Region",
    "S3_USER_VIRTUAL_BUCKET": "s3UseVirtualBucket",
    "S3_USE_ACCELERATE": "s3UseAccelerate",
    "awsAnonymousCredential": "s3UseAnonymousCredential",
    "AWS_CA_BUNDLE": "s3CABundle",
    "AWS_CA_BUNDLE_CONFIGMAP": "s3CABundleConfigMap",
}


@dataclass(frozen=True)
class CredentialConfig:
    """The blocks `credentials` and `storageInitializer`, as far as they are about credentials; as shipped by default.

    :param secret_annotation: by which a service names a Secret; empty where KServe is told to have none
    :param storage_secret: that `storage:` refers to
    :param s3: what holds where neither Secret nor ServiceAccount says otherwise, by the downloader's variables
    :param ca_configmap: with certificates to trust; in other namespaces than KServe's it is `global-ca-bundle`
    """

    secret_annotation: str = "serving.kserve.io/storageSecretName"  # noqa: S105 - a name
    storage_secret: str = "storage-config"  # noqa: S105
    access_key_id: str = "AWS_ACCESS_KEY_ID"
    secret_access_key: str = "AWS_SECRET_ACCESS_KEY"  # noqa: S105
    gcs_file: str = "gcloud-application-credentials.json"
    s3: Mapping[str, str] = field(default_factory=dict, hash=False)
    ca_configmap: str = ""


SHIPPED: Final = CredentialConfig()


def credential_config(configmap: Json | None) -> CredentialConfig:
    """As KServe reads it: v0.20.0, pkg/credentials/service_account_credentials.go. What cannot be read is left out."""
    if configmap is None:
        return SHIPPED
    block = _block(configmap, "credentials")
    s3, gcs = _inner(block, "s3"), _inner(block, "gcs")
    return CredentialConfig(
        secret_annotation=_text(block, "storageSecretNameAnnotation"),
        storage_secret=_text(block, "storageSpecSecretName") or "storage-config",
        # Not the names of the shipped ConfigMap: these are what the code falls back to.
        access_key_id=_text(s3, "s3AccessKeyIDName") or "awsAccessKeyID",
        secret_access_key=_text(s3, "s3SecretAccessKeyName") or "awsSecretAccessKey",
        gcs_file=_text(gcs, "gcsCredentialFileName") or "gcloud-application-credentials.json",
        s3={name: value for name, key in S3_KEYS.items() if (value := _text(s3, key))},
        ca_configmap=_text(_block(configmap, "storageInitializer"), "caBundleConfigMapName"),
    )


def _block(configmap: Json, key: str) -> Json:
    text = (configmap.get("data") or {}).get(key)
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = {}
    return found if isinstance(found, dict) else {}


def _inner(block: Json, key: str) -> Json:
    found = block.get(key)
    return found if isinstance(found, dict) else {}


def _text(block: Json, key: str) -> str:
    found = block.get(key)
    return found if isinstance(found, str) else ""
