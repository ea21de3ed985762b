"""What an error of `obstore` means, in our words: its own hold addresses and what servers said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from obstore.exceptions import InvalidPathError

from pullsizer.errors import MeasureError
from pullsizer.sources.failures import RETRY_AFTER, failure, refusal
from pullsizer.sources.proxying import Verdict
from pullsizer.sources.tickets import Ticket

# What the library says, in the order in which it is looked for: a server's own words come after its status.
_STATUS: Final = re.compile(r"Server returned non-2xx status code: ([0-9]{3})")
_AT_THE_AUTHORITY: Final = "Error performing token request"
_NO_LOCATION: Final = "Received redirect without LOCATION"
_CERTIFICATE: Final = "InvalidCertificate("
_TLS: Final = re.compile(r"InvalidMessage|AlertReceived|PeerIncompatible|PeerMisbehaved|InvalidContentType")
_NO_LISTING: Final = re.compile(r"invalid list response|Unable to parse|Missing|Content-Length Header")


class WrongRegion(MeasureError):
    """The store does not answer the question as asked. The bucket may be elsewhere; the library does not tell where."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidAnswer", message, RETRY_AFTER["InvalidAnswer"])


@dataclass(frozen=True)
class Asked:
    """Who is asked, and as whom.

    :param about: the bucket and its host, for the messages of errors
    :param signed: whether with the credentials of a namespace
    :param hides: whether the store tells strangers of what is private that it does not exist
    """

    about: str
    signed: bool
    hides: bool = False


@contextmanager
def explaining(asked: Asked, ticket: Ticket) -> Iterator[None]:
    """All that the library raises becomes a `MeasureError`.

    :param ticket: that the library went through the door with
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the library has few classes of errors, and hardly uses them
        raise _explained(error, asked, ticket) from None


def _explained(error: Exception, asked: Asked, ticket: Ticket) -> MeasureError:
    if ticket.refused:
        refused = refusal(ticket.refused[-1], asked.about)
        return WrongRegion(str(refused)) if ticket.refused[-1] is Verdict.ELSEWHERE else refused
    text = str(error)
    if found := _STATUS.search(text):
        status = int(found[1])
        if (
            _AT_THE_AUTHORITY in text[: found.start()] and 400 <= status < 429
        ):  # a wrong secret is 401, a wrong tenant 400
            status = 401
        return _answered(status, asked)
    if _NO_LOCATION in text:
        return WrongRegion(f"{asked.about} redirects to nowhere; is the region the bucket's?")
    if _CERTIFICATE in text:
        return failure(
            "TLSError",
            f"{asked.about} has a certificate that the operator does not trust; a private CA goes into its "
            "SSL_CERT_FILE",
        )
    if _TLS.search(text):
        return failure("TLSError", f"no TLS connection with {asked.about} can be made")
    if isinstance(error, (InvalidPathError, ValueError)):
        return failure(
            "UnsupportedSource",
            f"{asked.about} has names that the operator's client cannot read, with nothing or dots alone between "
            "slashes, or control characters; write the model's size into the annotation pullsizer.dev/model-size",
        )
    if _NO_LISTING.search(text):
        return failure("InvalidAnswer", f"{asked.about} answers with what is not a description of objects")
    return failure("SourceUnavailable", f"{asked.about} closed the connection before it had answered")


def _answered(status: int, asked: Asked) -> MeasureError:
    """What a status means. Retry-After is not to be had from the library: the reason's own time has to do."""
    if status == 407:  # of the door: a redirect without TLS to another host comes there without the ticket
        return WrongRegion(str(refusal(Verdict.ELSEWHERE, asked.about)))
    hidden = asked.hides and not asked.signed and status in (404, 409)
    if hidden or status in (401, 403):
        to_whom = "with the namespace's credentials" if asked.signed else "without credentials"
        return failure("Unauthorized", f"{asked.about} may not be read {to_whom}, or does not exist")
    if status == 404:
        return failure("NotFound", f"{asked.about} does not exist")
    if status in (429, 503):  # 503 is how S3 says SlowDown and Azure ServerBusy
        return failure("RateLimited", f"{asked.about} asked for fewer questions for a while")
    if status >= 500:
        return failure("SourceUnavailable", f"{asked.about} answered with an error of its own (HTTP {status})")
    message = f"{asked.about} answered with HTTP {status}"
    return WrongRegion(message) if status == 400 else failure("InvalidAnswer", message)
