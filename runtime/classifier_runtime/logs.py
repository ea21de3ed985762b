"""Logs: a JSON object a line, as collectors of Kubernetes take them. Never a text or an image that was classified."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Final

import orjson

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET: Final = {
    # Each failed request is counted, and logged once by us if it is our fault.
    "aiohttp.access": logging.WARNING,
    "aiohttp.server": logging.CRITICAL,
    "httpx": logging.WARNING,
    "transformers": logging.ERROR,
    "nncf": logging.ERROR,
}


class Formatter(logging.Formatter):
    """What is given as `extra` becomes keys of its own."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
