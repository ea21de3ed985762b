"""A request and its answer as protocols see them, whatever serves HTTP; and which handler a path has."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import unquote

from classifier_runtime.errors import ClassifierError, UnknownModel

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent.

    :param headers: their names in any case
    :param query: a list where a key came several times
    :param args: of the path's template, but for the model
    :param body: unpacked
    """

    headers: Mapping[str, str]
    query: Mapping[str, str | list[str]]
    args: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """What a client gets."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """:param path: with `{model}`, which must be the served one's name, and `{version}`
    :param protocol: for metrics, where this is a request to classify
    """

    method: str
    path: str
    handler: Handler
    protocol: str | None = None


class NoSuchPath(ClassifierError):
    """404, of a path; that of a model is `UnknownModel`."""


class WrongMethod(ClassifierError):
    """405.

    :param allowed: what the path takes
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(sorted(set(allowed)))
        super().__init__(f"send a {self.allowed}")


class Router:
    """Paths of one model's server. A path once found is remembered: matching takes longer than the rest of us."""

    def __init__(self, model: str, routes: Iterable[Route]) -> None:
        self._model = model
        self._routes = [(route, _pattern(route.path, model)) for route in routes]
        self.find = lru_cache(maxsize=256)(self._find)

    def _find(self, method: str, target: str) -> tuple[Route, Mapping[str, str]]:
        """Of a request's target, as it was sent, without its query.

        :raises UnknownModel: there is the path, for another model
        :raises NoSuchPath:
        :raises WrongMethod:
        """
        path = unquote(target)
        unknown: str | None = None
        allowed: list[str] = []
        for route, pattern in self._routes:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            args = match.groupdict()
            named = args.pop("model", self._model)
            if named != self._model:
                unknown = named if route.method == method else unknown
            elif route.method == method or (route.method, method) == ("GET", "HEAD"):
                return route, args
            else:
                allowed.append(route.method)
        if allowed:
            raise WrongMethod(allowed)
        if unknown is not None:
            raise UnknownModel(f"Model with name {unknown} does not exist.")
        raise NoSuchPath("there is nothing at this path")


def _pattern(path: str, model: str) -> re.Pattern[str]:
    """A trailing slash is no difference: the Open Inference Protocol's own description writes `/v2/`.

    :param model: the served one's name, in which a slash may be
    """
    named = {"model": f"{re.escape(model)}|[^/]+", "version": "[^/]+"}
    parts = re.split(r"{(\w+)}", path.rstrip("/"))
    return re.compile(
        "".join(f"(?P<{part}>{named[part]})" if odd % 2 else re.escape(part) for odd, part in enumerate(parts)) + "/?",
        re.DOTALL,
    )
