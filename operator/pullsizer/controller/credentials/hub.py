"""A Hub token of a Secret that an administrator's policy names."""

from __future__ import annotations

from pullsizer.controller.credentials.reading import Namespace, Secret, invalid
from pullsizer.policy import HubToken


async def token(namespace: Namespace, rule: HubToken) -> tuple[Secret, str]:
    """The token, and the Secret that it is from.

    :raises MeasureError: with a reason that says what is missing, never what is there
    """
    secret = await namespace.secret(rule.secret_name)
    found = secret.text(rule.key).strip()
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise invalid(secret, f"holds no token under {rule.key!r}")
    return secret, found
