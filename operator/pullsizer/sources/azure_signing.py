"""Azure's Shared Key: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key. Pure."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

_STANDARD_HEADERS: Final = 11
"""Lines for headers that a GET of ours does not have, `Date` among them: `x-ms-date` stands for it."""


def to_sign(account: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """What a GET's signature is made of.

    :param path: as it is sent, percent-encoded
    :param query: decoded
    :param headers: all that begin with `x-ms-`
    """
    own = "".join(f"{name.lower()}:{value}\n" for name, value in sorted(headers.items()))
    asked = "".join(f"\n{name.lower()}:{value}" for name, value in sorted(query.items()))
    return "GET\n" + "\n" * _STANDARD_HEADERS + f"{own}/{account}{path}{asked}"


def shared_key(account: str, key: str, text: str) -> str:
    """The `Authorization` for what is signed.

    :param key: of the account, in Base64
    :raises ValueError: when it is none
    """
    try:
        secret = b64decode(key, validate=True)
    except binascii.Error:
        raise ValueError("not Base64") from None
    signature = hmac.digest(secret, text.encode(), sha256)
    return f"SharedKey {account}:{b64encode(signature).decode()}"
