"""`https://ACCOUNT.blob.core.windows.net/container/prefix`: how big what the downloader takes of a container is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlparse

from obstore.store import AzureStore

from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import normal_host
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.object_errors import Asked
from pullsizer.sources.objects import Objects
from pullsizer.sources.selecting import as_azure

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, RetryConfig

_CONTAINER: Final = re.compile(r"[a-z0-9$-]{3,63}")
_AUTHORITY: Final = "login.microsoftonline.com"
_TENANT: Final = re.compile(r"[A-Za-z0-9.-]{1,253}")


class AzureBlob:
    """Asks Azure Blob Storage about blobs."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        return _parse(source)[0]

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        return await self.measure(source, access, rules) == facts

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        host, container, prefix = _parse(source)
        credential = _credential(source, access)

        def make(options: ClientConfig, retries: RetryConfig) -> AzureStore:
            # All that would else be read from the operator's environment, where it means something.
            config: AzureConfig = {
                "account_name": host.partition(".")[0],
                "endpoint": f"https://{host}",
                "authority_host": f"https://{_AUTHORITY}",
                "use_emulator": False,
                "use_fabric_endpoint": False,
                "use_azure_cli": False,
                "skip_signature": not credential,
                **credential,
            }
            return AzureStore(container, config=config, client_options=options, retry_config=retries)

        asked = Asked(f"the container {shown(container)} at {host}", signed=bool(credential), hides=True)
        targets = [(host, 443), *([(_AUTHORITY, 443)] if "client_id" in credential else [])]
        async with self._objects.open(make, asked, targets) as bucket:
            return await as_azure(bucket, source, prefix)


def _parse(source: Source) -> tuple[str, str, str]:
    """Host, container and prefix, as the downloader reads them: nothing is decoded, and the account is what the host
    begins with.
    """
    try:
        parts = urlparse(source.uri)
        host = normal_host(parts.netloc)
    except ValueError:
        host = ""
    container, slash, prefix = parts.path.lstrip("/").partition("/") if host else ("", "", "")
    if not slash or not _CONTAINER.fullmatch(container):
        raise failure(
            "InvalidURI",
            f"{shown(source.public_uri)} names no container and path; write "
            "https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH",
        )
    return host, container, prefix.strip("/")


def _credential(source: Source, access: Access) -> AzureConfig:
    """The first of those that the downloader would take: a service principal, the account's key, the URI's signature.

    None is nothing: what the operator itself may do is never used in its place.
    """
    client, secret, tenant = (
        access.get(f"AZ_{name}") or access.get(f"AZURE_{name}") for name in ("CLIENT_ID", "CLIENT_SECRET", "TENANT_ID")
    )
    if client and secret and _TENANT.fullmatch(tenant):
        return {
            "client_id": client,
            "client_secret": secret,
            "tenant_id": tenant,
            "credential_type": "client_secret",
        }
    if key := access.get("AZURE_STORAGE_ACCESS_KEY"):
        return {"account_key": key, "credential_type": "access_key"}
    if signature := urlparse(source.uri).query:
        return {"sas_key": signature, "credential_type": "sas_token"}
    return {}
