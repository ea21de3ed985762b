"""What a Hub refuses, in our words: its own, and its client library's, would show what it answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RevisionNotFoundError
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # documented there

from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.sources.client import Answer
from pullsizer.sources.failures import failure, retry_after, shown


def explained(error: HfHubHTTPError, model: str, wanted: str | None, about: str) -> MeasureError:
    """The Hub's answer in our words. The library's own would show its body and headers."""
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return failure(
            "Unauthorized",
            f"hf://{model} is gated, and whoever asks has not been let in; write its size into the annotation "
            "pullsizer.dev/model-size, or ask an administrator to allow the token of somebody who has",
        )
    if status in (401, 403):
        return failure(
            "Unauthorized",
            f"hf://{model} is private or gated, or does not exist; if it exists, write its size into the annotation "
            "pullsizer.dev/model-size, or ask an administrator to allow a token for the namespace",
        )
    if status == 404 and isinstance(error, RevisionNotFoundError):
        revision = Source(wanted or "main").public_uri  # a query pasted behind it is part of it
        return failure("NotFound", f"hf://{model} has no revision {shown(revision)}")
    if status == 404:
        return failure("NotFound", f"{about} has no model {shown(model)}")
    return failure("InvalidAnswer", f"{about} answered with HTTP {status}")


def not_now(found: Answer, about: str) -> MeasureError:
    """Of a Hub that wants to be left alone, or that is in trouble."""
    wait = _wait(found.headers)
    if found.status == 429:
        return failure("RateLimited", f"{about} asked for fewer questions for a while", wait)
    return failure("SourceUnavailable", f"{about} answered with an error of its own (HTTP {found.status})", wait)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds, within reason, by either header that the Hub documents."""
    if "Retry-After" in headers:
        return retry_after(headers["Retry-After"])
    limit = parse_ratelimit_headers(headers)
    return retry_after(str(limit.reset_in_seconds)) if limit is not None and limit.remaining == 0 else None
