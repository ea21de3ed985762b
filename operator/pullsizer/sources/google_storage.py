"""`gs://bucket/object-or-folder`: how big what KServe's downloader takes of a bucket of Google Cloud Storage is."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from obstore.store import GCSStore

from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import server
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.object_errors import Asked
from pullsizer.sources.objects import Objects
from pullsizer.sources.selecting import as_google

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSConfig, RetryConfig

_GOOGLE: Final = "https://storage.googleapis.com"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
# Of a service account's key all that is needed to sign with it. A key also names URLs to send tokens to and to get them
# from; whoever wrote the Secret may have named any. The library needs neither: it signs what it sends by itself.
_KEPT: Final = ("client_email", "private_key", "private_key_id")


class GoogleStorage:
    """Asks Google Cloud Storage about objects."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        _parse(source)
        return _place(source)[1]

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        return await self.measure(source, access, rules) == facts

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        name, key = _parse(source)
        url, host, port = _place(source)
        # The downloader's library has no credentials for an emulator either: a key is for Google, and whoever writes a
        # pod's variables says where the emulator is.
        account = None if source.endpoint else _account(access)

        def make(options: ClientConfig, retries: RetryConfig) -> GCSStore:
            # All that would else be read from the operator's environment, where it means something.
            config: GCSConfig = {"base_url": url, "skip_signature": account is None}
            if account is not None:
                config["service_account_key"] = account
            return GCSStore(name, config=config, client_options=options, retry_config=retries)

        asked = Asked(_about(name, source, host), signed=account is not None)
        async with self._objects.open(make, asked, [(host, port)], plain=url.startswith("http://")) as bucket:
            return await as_google(bucket, source, key)


def _parse(source: Source) -> tuple[str, str]:
    """Bucket and name, as the downloader reads them: nothing is decoded, and `?` and `#` are letters of the name."""
    bucket, _, key = source.uri.partition("://")[2].partition("/")
    if not _BUCKET.fullmatch(bucket) or not key:
        raise failure(
            "InvalidURI", f"{shown(source.public_uri)} names no folder or object of a bucket; write gs://bucket/path"
        )
    return bucket, key


def _place(source: Source) -> tuple[str, str, int]:
    """Google's URL, or that of the emulator that the container names; its host and port."""
    url = (source.endpoint or _GOOGLE).rstrip("/")
    found = server(url) if url.startswith(("https://", "http://")) and "@" not in url else None
    if found is None:
        raise failure("InvalidURI", "the emulator is no URL of a server; correct STORAGE_EMULATOR_HOST")
    return url, *found


def _about(bucket: str, source: Source, host: str) -> str:
    return f"the bucket {shown(bucket)} {f'at {host}' if source.endpoint else 'of Google Cloud Storage'}"


def _account(access: Access) -> str | None:
    """The namespace's key of a service account, if it has one. Nothing of the operator's own is used in its place."""
    text = access.get("GOOGLE_APPLICATION_CREDENTIALS")
    if not text:
        return None
    try:
        key = json.loads(text)
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, dict) or not all(isinstance(key.get(name), str) for name in _KEPT):
        raise failure("Unauthorized", "what the Secret holds for Google Cloud is not the key of a service account")
    return json.dumps({name: key[name] for name in _KEPT})
