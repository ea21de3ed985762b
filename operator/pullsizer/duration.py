"""Durations as Go and Kubernetes write them: `2s`, `500ms`, `1h30m`."""

from __future__ import annotations

import re
from typing import Final

from pullsizer.errors import InvalidValue

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_WHOLE: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_LONGEST: Final = 24


def parse_duration(text: object) -> float:
    """Seconds.

    :raises InvalidValue: with an example of what to write
    """
    if not isinstance(text, str) or len(text) > _LONGEST or not _WHOLE.fullmatch(text):
        raise InvalidValue(f"{text!r} is not a duration; write a number and a unit, for example 2s, 500ms or 24h")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
