"""The one credential that the controller may use: a Hub token, where the administrator's policy says so."""

from __future__ import annotations

import base64
import binascii

from pullsizer.cluster import KubeApi
from pullsizer.errors import ClusterError, MeasureError, NotFound
from pullsizer.policy import HubToken
from pullsizer.sources.access import Access

_RETRY: float = 60
"""Seconds. Somebody has to make the Secret, or allow us to read it, and is likely at it."""


async def hub_token(api: KubeApi, namespace: str, rule: HubToken) -> Access:
    """From the Secret in the namespace of the service.

    :raises MeasureError: with a reason that says what is missing, never what is there
    """
    where = f"the Secret {rule.secret_name!r} in this namespace"
    try:
        secret = await api.get(f"/api/v1/namespaces/{namespace}/secrets/{rule.secret_name}")
    except NotFound:
        raise MeasureError("TokenNotFound", f"{where}, which should hold a Hub token, does not exist", _RETRY) from None
    except ClusterError as error:
        if error.status == 403:
            message = f"Pullsizer may not read {where}; an administrator must grant that"
            raise MeasureError("TokenForbidden", message, _RETRY) from None
        raise MeasureError("TokenUnavailable", f"{where} could not be read", _RETRY) from None
    try:
        token = base64.b64decode((secret.get("data") or {})[rule.key], validate=True).decode("ascii").strip()
    except KeyError:
        raise MeasureError("TokenNotFound", f"{where} has no key {rule.key!r}", _RETRY) from None
    except (binascii.Error, UnicodeDecodeError):
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise MeasureError("TokenInvalid", f"{where} holds no token under {rule.key!r}", _RETRY)
    metadata = secret["metadata"]
    return Access(f"{namespace}/{metadata['uid']}/{metadata['resourceVersion']}", {"HF_TOKEN": token})
