"""Why a namespace's credentials were of no use, besides what a store itself says (`sources.failures`)."""

from __future__ import annotations

from typing import Final, Literal

from pullsizer.errors import MeasureError

Reason = Literal[
    "NoCredentials",
    "SecretForbidden",
    "SecretInvalid",
    "SecretNotFound",
    "SecretUnavailable",
    "WorkloadIdentity",
]

_RETRY: Final = 60.0
"""Seconds. Somebody has to make the Secret, or allow us to read it, and is likely at it."""


def unusable(reason: Reason, message: str, retry_after: float = _RETRY) -> MeasureError:
    return MeasureError(reason, message, retry_after)
