"""Leave to pass the door, for clients that open sockets of their own and tell little of what came of them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from pullsizer.sources.proxying import Verdict, basic

_USER: Final = "ticket"


@dataclass(eq=False)
class Ticket:
    """One question's leave.

    :param targets: hosts and ports that it is good for. Such clients follow redirects, and take along what is a secret
        though it is not called Authorization (`x-amz-security-token`)
    :param most: bytes of one connection, both ways
    """

    targets: frozenset[tuple[str, int]]
    most: int
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    refused: list[Verdict] = field(default_factory=list)
    """What the door refused to who came with the ticket, the latest last."""

    @property
    def authorization(self) -> str:
        """What its holders send as Proxy-Authorization."""
        return basic(_USER, self.secret)

    def url(self, door: str) -> str:
        """The door's URL as its holders are to call it."""
        scheme, _, authority = door.partition("://")
        return f"{scheme}://{_USER}:{self.secret}@{authority}"
