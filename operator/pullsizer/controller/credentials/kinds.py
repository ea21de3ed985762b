"""What a Secret means to the downloader: by the first key that KServe knows, and by that alone.

KServe v0.20.0, pkg/credentials/service_account_credentials.go, mountSecretCredential, and the packages beside it.
"""

from __future__ import annotations

from typing import Final

from pullsizer.controller.credentials.reading import Secret
from pullsizer.controller.credentials.s3 import s3_variables
from pullsizer.kserve_credentials import CredentialConfig

_AZURE_LEGACY: Final = {
    # Outweigh those of today's names: pkg/credentials/azure/azure_secret.go, BuildSecretEnvs.
    "AZURE_SUBSCRIPTION_ID": "AZ_SUBSCRIPTION_ID",
    "AZURE_TENANT_ID": "AZ_TENANT_ID",
    "AZURE_CLIENT_ID": "AZ_CLIENT_ID",
    "AZURE_CLIENT_SECRET": "AZ_CLIENT_SECRET",
}
AZURE: Final = (
    *_AZURE_LEGACY, "AZURE_STORAGE_ACCESS_KEY", "AZURE_ACCESS_TOKEN", "AZURE_ACCESS_EXPIRES_ON_SECONDS",
    "AZURE_ACCOUNT_NAME", "AZURE_SERVICE_URL",
)  # fmt: skip
HDFS: Final = (
    # Files of a folder to the downloader: python/storage/kserve_storage/kserve_storage.py, _load_hdfs_configuration.
    "HDFS_NAMENODE", "USER_PROXY", "HDFS_ROOTPATH", "TLS_CERT", "TLS_KEY", "TLS_CA", "TLS_SKIP_VERIFY", "HEADERS",
    "N_THREADS", "KERBEROS_PRINCIPAL",
)  # fmt: skip
"""All but KERBEROS_KEYTAB, which is not text, and which nobody here could use."""


def variables_of(secret: Secret, config: CredentialConfig) -> dict[str, str]:
    """The downloader's variables; none for a Secret that is about something else.

    :raises MeasureError: SecretInvalid
    """
    if config.secret_access_key in secret:
        keys = {
            "AWS_ACCESS_KEY_ID": secret.text(config.access_key_id),
            "AWS_SECRET_ACCESS_KEY": secret.text(config.secret_access_key),
        }
        settings = s3_variables(secret.annotations, lambda key: secret.text(key) if key in secret else None, config.s3)
        return keys | settings
    if config.gcs_file in secret:
        return {"GOOGLE_APPLICATION_CREDENTIALS": secret.text(config.gcs_file)}
    if any(key in secret for key in ("AZ_CLIENT_ID", "AZURE_CLIENT_ID", "AZURE_ACCESS_TOKEN")):
        return _azure(secret)
    if "AZURE_STORAGE_ACCESS_KEY" in secret:
        return _some(secret, "AZURE_STORAGE_ACCESS_KEY")
    if "https-host" in secret:
        return {f"{secret.text('https-host')}-headers": secret.text("headers")} if "headers" in secret else {}
    if "HDFS_NAMENODE" in secret:
        return _some(secret, *HDFS)
    if "HF_TOKEN" in secret:
        return _some(secret, "HF_TOKEN")
    # Not in v0.20.0; in KServe's main branch, and after all that is above.
    return _some(secret, "MODELSCOPE_API_TOKEN")


def _azure(secret: Secret) -> dict[str, str]:
    keys = {name: _AZURE_LEGACY.get(name, name) for name in AZURE}
    chosen = {name: legacy if legacy in secret else name for name, legacy in keys.items()}
    return {name: secret.text(key) for name, key in chosen.items() if key in secret}


def _some(secret: Secret, *keys: str) -> dict[str, str]:
    return {key: secret.text(key) for key in keys if key in secret}
