"""What the API server's answers mean, when they are not what was asked for."""

from __future__ import annotations

from typing import Final

import aiohttp
import orjson

from pullsizer.errors import ClusterError, NotFound

_LONGEST_MESSAGE: Final = 300


async def raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status < 400:
        return
    try:
        message = str(orjson.loads(await response.read())["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = response.reason or "no reason given"
    kind = NotFound if response.status == 404 else ClusterError
    raise kind(response.status, f"{response.method} {response.url.path}: {message[:_LONGEST_MESSAGE]}")


def seconds(retry_after: str) -> float:
    return min(float(retry_after), 10.0) if retry_after.isdigit() else 1.0


def describe(error: BaseException) -> str:
    """Some errors of asyncio have no text."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
