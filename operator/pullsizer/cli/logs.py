"""Logs: a line an event, constant words and key=value, whoever wrote it."""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_QUIET: Final = {
    # One line for each object and each connection says nothing that we do not say better.
    "kopf": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    # It logs the traceback of every failed call; `cluster.lease` says what came of it.
    "kubernetes.aio.leaderelection": logging.CRITICAL,
}


class Formatter(logging.Formatter):
    """UTC, and what was given as `extra` at the end. A line break in a value does not make another line."""

    converter = time.gmtime  # type: ignore[assignment]  # a class attribute, as the standard library documents it
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        extra = "".join(f" {key}={value}" for key, value in vars(record).items() if key not in _STANDARD)
        return (super().formatMessage(record) + extra).replace("\r", "\\r").replace("\n", "\\n")


def configure(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
