"""JSON of strangers."""

from __future__ import annotations

import gc
from typing import Any

import orjson


def loads(body: bytes | memoryview | str) -> Any:
    """:raises orjson.JSONDecodeError:"""
    # The collector looks through all that there is again and again while millions of lists are made, none of which it
    # could free: 5 million took 3.7 s with it and 0.3 s without, during which nobody else is answered.
    collects = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(body)
    finally:
        if collects:
            gc.enable()
