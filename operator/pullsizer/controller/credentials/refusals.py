"""What is said where a store refuses: who asked, by names in the user's own namespace, and what can be put right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pullsizer.account import Account
from pullsizer.controller.credentials.reading import Secret
from pullsizer.controller.credentials.reasons import unusable
from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.sources.failures import RETRY_AFTER, failure, shown

_SIZE: Final = "write the model's size into the annotation pullsizer.dev/model-size"
_LATER: Final = RETRY_AFTER["Unauthorized"]
_ALLOW: Final = "ask an administrator to list it in the policy's sources.credentials.namespaces"


def with_secrets(source: Source, secrets: Iterable[Secret]) -> MeasureError:
    names = " and ".join(sorted({repr(secret.name) for secret in secrets}))
    return failure(
        "Unauthorized",
        f"{shown(source.public_uri)} is refused to what the Secret {names} of this namespace holds; put that right, or "
        f"{_SIZE}",
    )


def not_allowed(source: Source) -> MeasureError:
    return failure(
        "Unauthorized",
        f"{shown(source.public_uri)} is private, and the policy lets Pullsizer use no credentials of this namespace; "
        f"{_ALLOW}, or {_SIZE}",
    )


def storage_not_allowed() -> MeasureError:
    return failure(
        "Unauthorized",
        "where a `storage:` is, only its Secret tells, and the policy lets Pullsizer use none of this namespace; "
        f"{_ALLOW}, or {_SIZE}",
    )


def nothing_found(source: Source, account: Account) -> MeasureError:
    where = f"the ServiceAccount {account.service_account!r} of this namespace has no Secret"
    if account.secret:
        where = f"the Secret {account.secret!r} of this namespace has nothing"
    return unusable(
        "NoCredentials",
        f"{shown(source.public_uri)} is private or does not exist, and {where} for {source.scheme}://; add "
        f"one as KServe documents it, or {_SIZE}",
        _LATER,
    )


def identity(source: Source, account: Account, annotation: str) -> MeasureError:
    return unusable(
        "WorkloadIdentity",
        f"{shown(source.public_uri)} is private, and what the ServiceAccount {account.service_account!r} of this "
        f"namespace may see, by {annotation}, only its own pods can; {_SIZE}",
        _LATER,
    )
