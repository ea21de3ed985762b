"""As whom a pull is known to stores: what its service names in its own namespace. Names, never what is behind them.

KServe finds a downloader's credentials by these, and so do we (`controller.credentials`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

Json = Mapping[str, Any]

DEFAULT_SERVICE_ACCOUNT: Final = "default"

# KServe v0.20.0, pkg/constants/constants.go: how its controller tells its pod webhook of a `storage:`.
_STORAGE: Final = "internal.serving.kserve.io/storage-spec"
_STORAGE_KEY: Final = "internal.serving.kserve.io/storage-spec-key"
_STORAGE_PARAMETERS: Final = "internal.serving.kserve.io/storage-spec-param"

SETTINGS: Final = frozenset(
    # How to speak to a store, which is no secret; by KServe's own names (its misspelt one too): pkg/credentials/s3.
    {
        "AWS_DEFAULT_REGION", "AWS_REGION", "S3_USER_VIRTUAL_BUCKET", "S3_USE_ACCELERATE", "S3_USE_HTTPS",
        "S3_VERIFY_SSL", "awsAnonymousCredential",
    }
)  # fmt: skip
_MOST_VARIABLES: Final = 32
"""From Secrets, of one container. KServe itself sets nine at most; a pod with a service's label can be anybody's."""


class FromSecret(NamedTuple):
    """A variable of the container itself whose value is in a Secret."""

    variable: str
    secret: str
    key: str


@dataclass(frozen=True)
class Storage:
    """`storage:` of a model, which stands in place of a URI.

    :param key: in the Secret; empty for the default one
    :param parameters: what is written beside it (`type`, `bucket`, `region`, …) and outweighs the Secret, as pairs
    """

    key: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Account:
    """As whom a pull is known.

    :param secret: that an annotation names in place of those of the ServiceAccount
    :param storage: where the model is named by `storage:`; the ServiceAccount counts for nothing then
    :param pull_secret: the first of `imagePullSecrets`; empty for that of the ServiceAccount
    :param variables: of the container, that come from Secrets
    :param settings: variables of the container that are no secrets, as pairs
    """

    service_account: str = DEFAULT_SERVICE_ACCOUNT
    secret: str = ""
    storage: Storage | None = None
    pull_secret: str = ""
    variables: tuple[FromSecret, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


NOBODY: Final = Account()
"""Who says nothing of himself: in a namespace that is its default ServiceAccount, elsewhere anybody."""


def account_of_spec(spec: Json | None, annotations: Json | None, secret_annotation: str) -> Account:
    """Of a pod's spec, or of what a service has in its place: a component, a template.

    :param secret_annotation: the key by which KServe lets annotations name a Secret; it may be told to have none
    """
    spec = spec or {}
    pull_secrets = spec.get("imagePullSecrets") or ()
    return Account(
        service_account=_text(spec.get("serviceAccountName")) or DEFAULT_SERVICE_ACCOUNT,
        secret=_text((annotations or {}).get(secret_annotation)) if secret_annotation else "",
        pull_secret=next((_text(item.get("name")) for item in pull_secrets if isinstance(item, Mapping)), ""),
    )


def account_of_pod(pod: Json, container: Json, secret_annotation: str) -> Account:
    """Of one container of a pod that downloads models."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    variables = container.get("env") or ()
    return replace(
        account_of_spec(pod.get("spec"), annotations, secret_annotation),
        storage=_storage_of_pod(annotations),
        variables=tuple(_from_secrets(variables))[:_MOST_VARIABLES],
        settings=tuple((item["name"], _text(item.get("value"))) for item in variables if item.get("name") in SETTINGS),
    )


def storage_of(block: object) -> Storage | None:
    """Of a `storage:` as a service has it."""
    return Storage(_text(block.get("key")), _pairs(block.get("parameters"))) if isinstance(block, Mapping) else None


def storage_annotations(secret_annotation: str) -> frozenset[str]:
    """The annotations of a pod that `account_of_pod` reads."""
    return frozenset({_STORAGE, _STORAGE_KEY, _STORAGE_PARAMETERS, secret_annotation})


def _storage_of_pod(annotations: Json) -> Storage | None:
    if annotations.get(_STORAGE) != "true":
        return None
    try:
        parameters = json.loads(annotations.get(_STORAGE_PARAMETERS) or "{}")
    except (ValueError, RecursionError):
        parameters = {}
    return Storage(_text(annotations.get(_STORAGE_KEY)), _pairs(parameters))


def _from_secrets(variables: Any) -> Iterator[FromSecret]:
    for item in variables:
        source = (item.get("valueFrom") or {}).get("secretKeyRef") or {}
        if item.get("name") and source.get("name") and source.get("key"):
            yield FromSecret(str(item["name"]), str(source["name"]), str(source["key"]))


def _pairs(block: object) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(k), _text(v)) for k, v in block.items())) if isinstance(block, Mapping) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
