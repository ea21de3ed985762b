"""`storage:` of a model: which URI it means, and with what it is reached.

KServe v0.20.0: the URI is made in pkg/credentials/service_account_credentials.go, CreateStorageSpecSecretEnvs; the
variables in python/storage/kserve_storage/kserve_storage.py, _update_with_storage_spec.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Final

from pullsizer.account import Storage
from pullsizer.controller.credentials.kinds import HDFS
from pullsizer.controller.credentials.reading import Secret, invalid
from pullsizer.errors import MeasureError

TYPES: Final = ("s3", "hdfs", "webhdfs")
_RETRY: Final = 86400.0
"""Seconds. Only another `storage:` helps, and that is asked about at once."""
_S3: Final[Mapping[str, str]] = {
    "endpoint_url": "AWS_ENDPOINT_URL",
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "region": "AWS_DEFAULT_REGION",
    "ca_bundle": "AWS_CA_BUNDLE",
    "verify_ssl": "S3_VERIFY_SSL",
    "anonymous": "awsAnonymousCredential",
    "cabundle_configmap": "AWS_CA_BUNDLE_CONFIGMAP",
}
_BASE64: Final = ("TLS_CERT", "TLS_KEY", "TLS_CA")


def entry_of(storage: Storage, secret: Secret) -> Mapping[str, str]:
    """What the Secret says under the key; nothing where it need not.

    :raises MeasureError: SecretInvalid
    """
    kind = dict(storage.parameters).get("type", "")
    key = storage.key or (f"default_{kind}" if kind else "default")
    if key not in secret:
        if not storage.key:
            return {}
        raise invalid(secret, f"has no key {key!r}")
    try:
        found = json.loads(secret.text(key))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise invalid(secret, f"has no JSON object of texts under {key!r}")
    return found


def storage_uri(storage: Storage, path: str, entry: Mapping[str, str]) -> str:
    """What the pod's container will be told to download.

    :raises MeasureError: InvalidURI
    """
    parameters = dict(storage.parameters)
    kind, bucket = parameters.get("type", ""), parameters.get("bucket", "")
    if not kind:
        # As there: what a Secret says of the bucket counts only where it says the type, too.
        kind, bucket = entry.get("type", ""), bucket or entry.get("bucket", "")
        if kind not in TYPES:
            raise _unclear(f"its type must be one of {', '.join(TYPES)}")
    path = path.removeprefix("/")
    if kind != "s3":
        return f"{kind}://{path}"
    if not bucket:
        raise _unclear("no bucket is named")
    return f"s3://{bucket}/{path}"


def storage_variables(storage: Storage, entry: Mapping[str, str]) -> dict[str, str]:
    """The downloader's variables."""
    found = {**entry, **dict(storage.parameters)}
    kind = found.get("type", "")
    if kind == "s3":
        return {_S3[key]: value for key, value in found.items() if key in _S3}
    if kind in TYPES:
        return {key: _decoded(found[key]) if key in _BASE64 else found[key] for key in HDFS if key in found}
    return {}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _unclear(what: str) -> MeasureError:
    message = f"the service's `storage:` does not tell where the model is: {what}, in its parameters or its Secret"
    return MeasureError("InvalidURI", message, _RETRY)
