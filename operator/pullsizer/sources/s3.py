"""`s3://bucket/key-or-prefix`: how big what KServe's downloader takes of a bucket is, at Amazon's S3 and its like."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from obstore.store import S3Store
from yarl import URL

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import server
from pullsizer.sources.client import Client
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.object_errors import Asked, WrongRegion
from pullsizer.sources.objects import Objects
from pullsizer.sources.selecting import as_s3

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
"""As Amazon once allowed them; its like still do."""
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}")
_AMAZON: Final = "https://s3.amazonaws.com"
"""Named as an endpoint, it is the one of before there were regions: boto3 asks the region's own all the same."""


@dataclass(frozen=True)
class _Place:
    """Where a bucket is.

    :param endpoint: empty for Amazon's own
    """

    bucket: str
    region: str
    endpoint: str = ""
    virtual: bool = False

    @property
    def url(self) -> str:
        """What the bucket's name is put behind, or has been put before."""
        end = ".cn" if self.region.startswith("cn-") else ""
        base = self.endpoint or f"https://s3.{self.region}.amazonaws.com{end}"
        scheme, _, rest = base.partition("://")
        return f"{scheme}://{self.bucket}.{rest}" if self.virtual else base


class S3:
    """Asks S3 about objects."""

    def __init__(self, objects: Objects, client: Client) -> None:
        self._objects = objects
        self._client = client

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        return _server(_place(source, access, rules))[0]

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        return await self.measure(source, access, rules) == facts

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        place = _place(source, access, rules)
        try:
            return await self._measure(source, access, place)
        except WrongRegion:
            moved = await self._moved(place)
            if moved is None:
                raise
            return await self._measure(source, access, moved)

    async def _measure(self, source: Source, access: Access, place: _Place) -> ModelFacts:
        host, port = _server(place)
        _, prefix = _parse(source)
        credential = _credential(access)
        asked = Asked(f"the bucket {shown(place.bucket)} at {host}", signed=credential is not None)

        def make(options: ClientConfig, retries: RetryConfig) -> S3Store:
            # All that would else be read from the operator's environment, where it means something.
            config: S3Config = {
                "aws_endpoint_url_s3": place.url,
                "endpoint": place.url,
                "region": place.region,
                "skip_signature": credential is None,
                "virtual_hosted_style_request": place.virtual,
                "request_payer": False,
                "s3_express": False,
                "unsigned_payload": False,
            }
            provider = (lambda: credential) if credential is not None else None
            return S3Store(
                place.bucket, config=config, client_options=options, retry_config=retries, credential_provider=provider
            )

        async with self._objects.open(
            make,
            asked,
            [(host, port)],
            certificates=access.get("AWS_CA_BUNDLE"),
            verify=access.get("S3_VERIFY_SSL").lower() not in ("0", "false"),
            plain=place.url.startswith("http://"),
        ) as bucket:
            return await as_s3(bucket, source, prefix)

    async def _moved(self, place: _Place) -> _Place | None:
        """Where else the bucket says that it is. It does so to everybody, as a header of any answer."""
        about = f"the bucket {shown(place.bucket)} at {_server(place)[0]}"
        url = URL(place.url) if place.virtual else URL(place.url) / place.bucket
        try:
            found = await self._client.ask("HEAD", url, about, {})
        except MeasureError:  # what it said to the question itself tells more
            return None
        region = found.headers.get("x-amz-bucket-region", "")
        return replace(place, region=region) if _REGION.fullmatch(region) and region != place.region else None


def _parse(source: Source) -> tuple[str, str]:
    """Bucket and prefix, as the downloader reads them: nothing is decoded, and the prefix ends at a `?` or `#`."""
    try:
        parts = urlsplit(source.uri)
    except ValueError:
        parts = urlsplit("")
    if not _BUCKET.fullmatch(parts.netloc):
        raise failure(
            "InvalidURI", f"{shown(source.public_uri)} names no bucket; write s3://bucket/path, without credentials"
        )
    return parts.netloc, parts.path.lstrip("/")


def _place(source: Source, access: Access, rules: SourceRules) -> _Place:
    """Where the downloader would look, as far as its container and Secrets say; else where the administrator does."""
    bucket, _ = _parse(source)
    endpoint = (source.endpoint or access.get("AWS_ENDPOINT_URL") or rules.s3.endpoint or "").rstrip("/")
    region = access.get("AWS_DEFAULT_REGION") or rules.s3.region
    if not _REGION.fullmatch(region):
        raise failure("InvalidURI", "the region is none; correct AWS_DEFAULT_REGION, or the policy's sources.s3.region")
    virtual = access.get("S3_USER_VIRTUAL_BUCKET").lower() == "true"
    place = _Place(bucket, region, "" if endpoint == _AMAZON else endpoint, virtual)
    _server(place)
    return place


def _server(place: _Place) -> tuple[str, int]:
    found = server(place.url) if place.url.startswith(("https://", "http://")) and "@" not in place.url else None
    if found is None:
        raise failure(
            "InvalidURI",
            "the endpoint is no URL of an S3 server; correct AWS_ENDPOINT_URL, or the policy's sources.s3.endpoint",
        )
    return found


def _credential(access: Access) -> S3Credential | None:
    """The namespace's, if it has one. Nothing of the operator's own is ever used in its place."""
    key, secret = access.get("AWS_ACCESS_KEY_ID"), access.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret or access.get("awsAnonymousCredential").lower() == "true":
        return None
    token = access.get("AWS_SESSION_TOKEN") or None
    if not all(part.isascii() and part.isprintable() for part in (key, secret, token or "")):
        raise failure("Unauthorized", "what the Secret holds for S3 is no key; it has odd characters in it")
    return {"access_key_id": key, "secret_access_key": secret, "token": token, "expires_at": None}
