"""What was found to ask a store with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from pullsizer.controller.credentials.reading import Secret
from pullsizer.errors import MeasureError
from pullsizer.model import Source
from pullsizer.sources.access import Access

_LONGEST = 256
"""Characters of a scope's list of Secrets. The definition (deploy/base/crd.yaml) allows a scope 512 in all."""


@dataclass(frozen=True)
class Found:
    """What to ask with, and about.

    :param source: with the endpoint that a Secret names, if one does
    :param refused: what is to be said where the store refuses even this: it names what the user can put right
    """

    access: Access
    source: Source
    refused: MeasureError

    @property
    def stranger(self) -> bool:
        """Whether nothing was found: it would be asked as anybody asks."""
        return not self.access.environment and not self.source.endpoint


def scope_of(namespace: str, secrets: Iterable[Secret], endpoint: str) -> str:
    """Of what is learnt in a namespace: with these very versions of Secrets, at an endpoint that its users name."""
    used = ",".join(sorted({f"{secret.uid}/{secret.version}" for secret in secrets}))
    if len(used) > _LONGEST:
        used = hashlib.sha256(used.encode()).hexdigest()
    return f"{namespace}/{used}{endpoint_mark(endpoint)}"


def endpoint_mark(endpoint: str) -> str:
    """Tells endpoints apart without telling them; empty for the store's own."""
    return f"@{hashlib.sha256(endpoint.encode()).hexdigest()[:12]}" if endpoint else ""


def mark_of(scope: str) -> str:
    """The endpoint's mark in a scope."""
    _, separator, mark = scope.partition("@")
    return separator + mark
