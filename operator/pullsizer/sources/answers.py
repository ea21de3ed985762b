"""What an answer means that does not hold what was asked for."""

from __future__ import annotations

from typing import NoReturn

from pullsizer.sources.client import Answer
from pullsizer.sources.failures import failure, retry_after


def refuse(found: Answer, about: str, what: str) -> NoReturn:
    """Raises what the status of an answer means.

    :param about: who answered
    :param what: was asked for: a noun, such as `file`
    """
    status, wait = found.status, retry_after(found.headers.get("Retry-After", ""))
    if status in (401, 403, 407):
        raise failure("Unauthorized", f"{about} does not give the {what} to everybody")
    if status in (404, 410):
        raise failure("NotFound", f"{about} has no such {what}")
    if status == 429:
        raise failure("RateLimited", f"{about} asked for fewer questions for a while", wait)
    if status >= 500:
        raise failure("SourceUnavailable", f"{about} answered with an error of its own (HTTP {status})", wait)
    raise failure("InvalidAnswer", f"{about} answered with HTTP {status}")
