"""Why a model was not measured: the reasons there are, and when each is worth another try."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.sources.proxying import Verdict

Reason = Literal[
    "InvalidAnswer",
    "InvalidURI",
    "NoLength",
    "NotFound",
    "NothingToPull",
    "RateLimited",
    "SourceUnavailable",
    "TLSError",
    "Timeout",
    "Unauthorized",
    "UnknownScheme",
    "UnsupportedSource",
]

_NEVER: Final = 86400.0
"""Nothing but another URI helps, and that is asked about at once. A day, as for a model that was measured."""

RETRY_AFTER: Final[dict[Reason, float]] = {
    # Somebody has to do something about these: a quarter of an hour after they did, it shows.
    "Unauthorized": 900,
    "NotFound": 900,
    "TLSError": 900,
    "InvalidAnswer": 900,
    "NoLength": 3600,
    # These pass by themselves. A minute is what a restart of a store takes.
    "SourceUnavailable": 60,
    "Timeout": 60,
    "RateLimited": 60,
    "InvalidURI": _NEVER,
    "UnknownScheme": _NEVER,
    "UnsupportedSource": _NEVER,
    "NothingToPull": _NEVER,
}


def failure(reason: Reason, message: str, retry_after: float | None = None) -> MeasureError:
    """The error for a reason, worth another try after the reason's own time unless the source named one."""
    return MeasureError(reason, message, RETRY_AFTER[reason] if retry_after is None else retry_after)


def refusal(verdict: Verdict | None, about: str) -> MeasureError:
    """What the door's verdict means; None where a proxy behind it said no.

    :param about: who was asked
    """
    if verdict is Verdict.DENIED:
        return EgressDenied(
            f"{about} is not at a public address, and the operator calls no others on a user's word; "
            "an administrator can allow its network under sources.allowCIDRs"
        )
    if verdict is Verdict.NO_HOST:
        return failure(
            "InvalidURI", f"{about} is not, or redirects to what is not, a host written as a name or an address"
        )
    if verdict is Verdict.ELSEWHERE:
        return failure("InvalidAnswer", f"{about} redirects to another host, which is given no credentials")
    if verdict is Verdict.UNKNOWN_HOST:
        return failure("SourceUnavailable", f"{about} has a name that cannot be resolved; is it spelled right?")
    by_whom = ": the proxy of the operator's environment refuses" if verdict is Verdict.PROXY_REFUSED else ""
    return failure("SourceUnavailable", f"{about} cannot be reached{by_whom}")


def retry_after(text: str) -> float | None:
    """Seconds that a `Retry-After` means, within reason; None where it is none.

    At least a second: nobody asks in a loop. At most an hour: nobody keeps us from asking for a day.
    """
    seconds: float
    if text.isdecimal():
        seconds = float(text[:10])
    else:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # no date; or one without a zone
            return None
    return min(max(seconds, 1.0), 3600.0)


def shown(text: str) -> str:
    """Somebody's text inside a sentence of ours: quoted, without control characters, not longer than a line."""
    longest = 200
    return repr(text if len(text) <= longest else f"{text[:longest]}…")
