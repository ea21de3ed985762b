"""What the operator may ask about models, whom, how often and with whose credentials."""

from __future__ import annotations

from pydantic import Field

from pullsizer.policy.fields import Endpoint, Model, Network, Seconds


class HubToken(Model):
    """Which Secret holds a Hub token, and for which namespaces the operator may use it: the administrator's choice."""

    secret_name: str
    """In the namespace of the service."""
    key: str = "HF_TOKEN"
    namespaces: tuple[str, ...]
    """Exact names. The operator also needs the right to read the Secret there (deploy/examples/hub-token-rbac.yaml)."""


class HuggingFace(Model):
    endpoint: Endpoint = "https://huggingface.co"
    """The Hub, or a mirror of it. May be an address that `allowCIDRs` would not allow: an administrator named it."""
    token: HubToken | None = None
    requests_per_5_minutes: int = Field(default=500, ge=1, alias="requestsPer5Minutes")
    """The Hub's own limit for strangers, by address: https://huggingface.co/docs/hub/rate-limits."""


class S3(Model):
    endpoint: Endpoint | None = None
    """Where `s3://` leads for containers that name no endpoint; None: Amazon's."""
    region: str = "us-east-1"


class Credentials(Model):
    """Whether the operator may use what the services' own downloader is given: off, unless namespaces are listed."""

    namespaces: tuple[str, ...] = ()
    """Exact names. The operator also needs the right to read their Secrets (deploy/components/credentials)."""


class SourceRules(Model):
    """What the operator may ask about models, and where."""

    allow_cidrs: tuple[Network, ...] = Field(default=(), alias="allowCIDRs")
    """Networks that are not public but may be asked all the same. Public addresses always may."""
    allow_endpoints: tuple[Endpoint, ...] = ()
    """The same for single hosts and ports, by name: `https://minio.storage:9000`."""
    hugging_face: HuggingFace = HuggingFace()
    s3: S3 = S3()
    credentials: Credentials = Credentials()
    timeout: Seconds = 10
    """For measuring one model, redirects and all."""
