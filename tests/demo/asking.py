"""Requests as curl would send them, printed with their answers, which have to be right."""

from __future__ import annotations

import json
import shlex
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.controlplane import ControlPlaneError


@dataclass(frozen=True)
class Request:
    """One.

    :param data: the body
    :param shown: how curl is told of the body, where that is not the body itself
    """

    url: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    shown: str = ""

    def curl(self) -> str:
        flags = [f"-H {shlex.quote(f'{key}: {value}')}" for key, value in self.headers.items()]
        return " ".join(["curl", shlex.quote(self.url), *flags, self.shown or f"-d {shlex.quote(self.data.decode())}"])


def ask(request: Request) -> Any:
    """Shows the request and its answer, and returns that."""
    print(f"$ {request.curl()}", flush=True)
    sent = urllib.request.Request(request.url, request.data, dict(request.headers))
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise ControlPlaneError(f"the runtime answers {error.code}: {error.read().decode(errors='replace')}") from error
    except OSError as error:
        raise ControlPlaneError(f"the runtime at {request.url} does not answer: {error}") from error
    print(f"{text}\n", flush=True)
    return json.loads(text)


def expect(what: str, said: object, right: object) -> None:
    """:raises ControlPlaneError: the answer is wrong"""
    if said != right:
        raise ControlPlaneError(f"the runtime says {said} of {what}, and {right} is right")
