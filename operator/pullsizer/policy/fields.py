"""The kinds of values that a policy is made of: each read from what a person wrote, or refused with what to write."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from pullsizer.duration import parse_duration
from pullsizer.errors import InvalidValue
from pullsizer.names import CPU, MEMORY
from pullsizer.quantity import parse_written
from pullsizer.suggest import nearest

Mode = Literal["Auto", "Recommend", "Disabled"]
MODES: Final[tuple[Mode, ...]] = ("Auto", "Recommend", "Disabled")

Tune = Literal["Disabled", "Auto"]
TUNES: Final[tuple[Tune, ...]] = ("Disabled", "Auto")
Profile = Literal["v0.15", "v0.16", "v0.17", "v0.18", "v0.19", "v0.20", "hub-2"]


def parse_tune(value: object) -> Tune:
    """Whether the downloader may be given other settings, as a person wrote it.

    :raises InvalidValue: names the two there are
    """
    for tune in TUNES:
        if value == tune:
            return tune
    hint = nearest(value, TUNES) if isinstance(value, str) else "; known: Disabled, Auto"
    raise InvalidValue(f"{value!r} is not a way of tuning{hint}")


def parse_mode(value: object) -> Mode:
    """The mode that a person wrote.

    :raises InvalidValue: names the three there are, and what YAML makes of `Off`
    """
    for mode in MODES:
        if value == mode:
            return mode
    if value is False or value is True:
        word = "off" if value is False else "on"
        raise InvalidValue(f"YAML reads an unquoted {word} as {str(value).lower()}; write Auto, Recommend or Disabled")
    hint = nearest(value, MODES) if isinstance(value, str) else "; known: Auto, Recommend, Disabled"
    if isinstance(value, str) and value.casefold() in ("off", "none", "false"):
        hint = "; did you mean 'Disabled'?"
    raise InvalidValue(f"{value!r} is no mode{hint}")


def _quantity(resource: str) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else parse_written(value, resource))


def _cidr(value: object) -> str:
    try:
        return str(ipaddress.ip_network(str(value), strict=False))
    except ValueError:
        raise InvalidValue(f"{value!r} is not a network; write it as 10.0.0.0/8 or fd00::/8") from None


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidValue(f"{value!r} is not an endpoint; write it as https://hub.example.com")
    return value.rstrip("/")


Cpu = Annotated[int | None, _quantity(CPU)]
Bytes = Annotated[int | None, _quantity(MEMORY)]
Seconds = Annotated[float, BeforeValidator(parse_duration)]
Network = Annotated[str, BeforeValidator(_cidr)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
BitsPerSecond = Annotated[int, BeforeValidator(lambda value: parse_written(value, MEMORY))]
ModeField = Annotated[Mode, BeforeValidator(parse_mode)]
TuneField = Annotated[Tune, BeforeValidator(parse_tune)]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)
