"""Files of Kubernetes objects, as people have them: YAML or JSON, several documents, lists; `-` is standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from pullsizer.cli.exits import BadInput
from pullsizer.errors import InvalidQuantity

Object = dict[str, Any]

STDIN: Final = "-"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is there


def text_of(path: str) -> str:
    """What is in a file, or comes from standard input.

    :raises BadInput: with the file's name
    """
    try:
        return sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{shown(path)}: is not a text in UTF-8") from None


def shown(path: str) -> str:
    return "standard input" if path == STDIN else path


def parsed(text: str, path: str) -> list[Any]:
    """The documents of a text.

    :raises BadInput: with file and line
    """
    try:
        return [document for document in yaml.load_all(text, _LOADER) if document is not None]
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadInput(f"{shown(path)}{where}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        # PyYAML's own constructors stumble over odd tags.
        raise BadInput(f"{shown(path)}: not valid YAML") from None


def objects(paths: Iterable[str]) -> list[Object]:
    """All objects of all files, in their order, those of lists one by one.

    :raises BadInput: where something in them is no object
    """
    found: list[Object] = []
    for path in paths:
        for number, document in enumerate(parsed(text_of(path), path), 1):
            found.extend(_flat(document, f"{shown(path)}, document {number}"))
    return found


def _flat(document: Any, where: str) -> Iterator[Object]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise BadInput(f"{where}: not a Kubernetes object, as it has no kind")
    kind = document["kind"]
    if kind.endswith("List") and isinstance(document.get("items"), list):
        for number, item in enumerate(document["items"], 1):
            if isinstance(item, dict):  # items of a typed list have no kind of their own
                item = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List"), **item}  # noqa: PLW2901
            yield from _flat(item, f"{where}, item {number}")
        return
    if not isinstance(document.get("metadata", {}), dict):
        raise BadInput(f"{where}: metadata of the {kind} is not a mapping")
    yield document


@contextmanager
def valid(what: str) -> Iterator[None]:
    """Turns what comes of objects that no API server has seen into a sentence.

    :raises BadInput: naming the object
    """
    try:
        yield
    except InvalidQuantity as error:
        raise BadInput(f"{what} is not what the API server would take: {error}") from None
    except (TypeError, ValueError, AttributeError, LookupError):
        raise BadInput(
            f"{what} is not what the API server would take; kubectl apply --dry-run=server says why"
        ) from None
