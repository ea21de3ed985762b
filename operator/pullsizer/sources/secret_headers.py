"""Headers that a Secret holds, for the server that they are meant for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from pullsizer.sources.failures import failure

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE: Final = re.compile(r"[\t -~]{0,8192}")
_MOST_HEADERS: Final = 16 << 10
"""Characters of all of a host's headers: half of what the door takes."""
# Those that are about the connection, or that we set ourselves for what we ask.
_OURS: Final = frozenset(
    {
        "accept-encoding", "connection", "content-length", "host", "if-none-match", "keep-alive", "proxy-authorization",
        "proxy-connection", "range", "te", "transfer-encoding", "upgrade",
    }
)  # fmt: skip


def secret_headers(text: str, about: str) -> Mapping[str, str]:
    """What a JSON object of names and values says; nothing where there is no text.

    :param about: for which server they are
    :raises MeasureError: Unauthorized, for anything else
    """
    try:
        found = json.loads(text) if text and len(text) <= _MOST_HEADERS else {} if not text else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(
        isinstance(value, str) and _NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in found.items()
    ):
        raise failure(
            "Unauthorized",
            f"what the Secret holds as headers for {about} are none; write a JSON object of names "
            'and values, as {"Authorization": "…"}',
        )
    return {name: value for name, value in found.items() if name.lower() not in _OURS}
