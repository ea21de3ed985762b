"""Logs: a JSON object a line, as collectors of Kubernetes take them. Never a text or an image that was classified."""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET: Final = {
    # Each failed request is counted, and logged once by us if it is our fault.
    "aiohttp.access": logging.WARNING,
    "aiohttp.server": logging.CRITICAL,
    "httpx": logging.WARNING,
    "transformers": logging.ERROR,
    "nncf": logging.ERROR,
}
_OURS: Final = "classifier_runtime"

log = logging.getLogger(__name__)


class Formatter(logging.Formatter):
    """What is given as `extra` becomes keys of its own. In ASCII, so that halves of surrogates are no exception."""

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
        return json.dumps(line, default=str)


def configure(level: str) -> None:
    """From now on, for all that this process says of itself: warnings of libraries and what ends it, too.

    :param level: of ours. Libraries say nothing below INFO: there they quote what they read, as Pillow the tags of an
        image
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter())
    least = logging.getLevelNamesMapping()[level]
    logging.basicConfig(level=max(least, logging.INFO), handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(least)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)
    logging.captureWarnings(capture=True)
    sys.excepthook = _ended
    threading.excepthook = lambda said: _ended(said.exc_type, said.exc_value, said.exc_traceback)


def request(protocol: str, code: int, seconds: float, **more: object) -> None:
    """A line for a request."""
    line = {"protocol": protocol, "code": code, "milliseconds": round(seconds * 1000, 3), **more}
    log.info("request", extra=line)


def where(error: BaseException) -> str:
    """A traceback without the error's message, which may quote what a client sent."""
    cause = error.__cause__ or error.__context__
    before = f"{where(cause)}\n\n" if cause is not None else ""
    return f"{before}{''.join(traceback.format_tb(error.__traceback__))}{type(error).__qualname__}"


def _ended(kind: type[BaseException], error: BaseException | None, frames: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log.critical("an error that nobody thought of", exc_info=(kind, error or kind(), frames))
