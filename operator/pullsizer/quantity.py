"""Quantities as Kubernetes writes them, as whole numbers: millicores for cpu, bytes for all else.

The grammar is that of `k8s.io/apimachinery/pkg/api/resource`: a signed decimal number and a binary suffix (Ki … Ei), a
decimal one (n, u, m, k … E) or an exponent (e3). Fractions are rounded up, as the API server does.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

from pullsizer.errors import InvalidQuantity
from pullsizer.names import CPU

KI: Final = 1 << 10
MI: Final = 1 << 20
GI: Final = 1 << 30

_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:(?P<suffix>[KMGTPE]i|[numkMGTPE]?)|[eE](?P<exponent>[+-]?[0-9]{1,2}))"
)
# int64, which is what the API server keeps; more digits than that are nobody's memory.
_MAXIMUM: Final = (1 << 63) - 1
_LONGEST: Final = 40

MOST_BYTES: Final = 1 << 50
"""Of a model: 1 Pi, several hundred times the largest there is. What a pull is given is computed of a few such sums and
factors, and of several models' in a pod, and all of that has to be an int64."""
MOST_FILES: Final = 10_000_000
"""Of a model, ten times what is counted of any store; likewise."""


@lru_cache(maxsize=4096)
def parse(text: str, resource: str) -> int:
    """The quantity in millicores for `cpu`, in bytes for any other resource, rounded up.

    :raises InvalidQuantity: with a sentence that says what to write
    """
    scale = 1000 if resource == CPU else 1
    value = _fraction(text, resource) * scale
    rounded = -(-value.numerator // value.denominator)
    if value < 0:
        raise InvalidQuantity(f"{text!r} is negative; a {resource} quantity is zero or more")
    if rounded > _MAXIMUM:
        raise InvalidQuantity(f"{text!r} is more than Kubernetes can hold; write a smaller {resource} quantity")
    return rounded


def _fraction(text: str, resource: str) -> Fraction:
    example = "500m or 2" if resource == CPU else "512Mi or 15Gi"
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise InvalidQuantity(
            f"{text[:_LONGEST]!r} is not a quantity; write it as Kubernetes does, for example {example}"
        )
    number = Fraction(match["number"])
    if match["exponent"] is not None:
        return number * Fraction(10) ** int(match["exponent"])
    suffix = match["suffix"]
    if suffix in _BINARY:
        return number * (1 << _BINARY[suffix])
    return number * Fraction(10) ** _DECIMAL[suffix]


def parse_written(value: object, resource: str) -> int:
    """As `parse`, for what a person wrote: also numbers from YAML, and not what is surely a slip.

    :raises InvalidQuantity: also for thousandths of a byte (`512m` of memory), a handful of them (`12`), Mi and Gi of
        cores, and for zero
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidQuantity(
            f"{value!r} is not a quantity; write a text such as {'500m' if resource == CPU else '512Mi'}"
        )
    text = str(value).strip()
    amount = parse(text, resource)
    if resource != CPU and text.endswith(("m", "u", "n")):
        raise InvalidQuantity(f"{text!r} is thousandths of a byte; did you mean {text[:-1]}Mi?")
    if resource == CPU and text.endswith("i"):
        raise InvalidQuantity(f"{text!r} is an amount of bytes, not of cores; write cpu as 500m or 2")
    if amount == 0:
        raise InvalidQuantity(f"{text!r} is zero; leave the key out, or write a quantity above zero")
    if resource != CPU and text.isdigit() and amount < KI:
        raise InvalidQuantity(f"{text!r} is {amount} bytes; write the unit too, for example {text}Mi or {text}Gi")
    return amount


@lru_cache(maxsize=4096)
def write(amount: int, resource: str) -> str:
    """The shortest exact text of an amount, in the form in which the API server would print it."""
    if resource == CPU:
        return str(amount // 1000) if amount % 1000 == 0 else f"{amount}m"
    for suffix, power in reversed(_BINARY.items()):
        if amount and amount % (1 << power) == 0:
            return f"{amount >> power}{suffix}"
    return str(amount)


def human(count: int) -> str:
    """Bytes for people, in the decimal units in which model sizes are talked about: `59.0 GB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if unit not in ("B", "kB") else f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def round_up(amount: int, step: int) -> int:
    return -(-amount // step) * step
