"""What a server of this bench is: how it is started, asked and understood."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.runtime.bench.environments import Environment
from tests.runtime.bench.subjects import Subject

NAME: Final = "m"
"""Of the model, wherever a server wants one."""


@dataclass(frozen=True)
class Place:
    """Where a server is started.

    :param programs: the folder with its Python
    :param ports: HTTP's, and one more
    :param scratch: a folder of its own
    """

    programs: Path
    subject: Subject
    ports: tuple[int, int]
    scratch: Path


@dataclass(frozen=True)
class Server:
    """How one is started, asked and understood.

    :param environment: None for that of this process
    :param path: that is posted to
    :param question: the body that asks for some texts
    :param classes: of an answer, each by its id or its label
    :param variables: of the environment; it may raise `Unavailable`
    :param lossy: whether it computes less precisely than the reference
    :param model: the form of the model that it serves
    :param engine: the backend, where it is one of ours
    """

    name: str
    about: str
    environment: Environment | None
    command: Callable[[Place], Sequence[str]]
    path: str
    health: str
    question: Callable[[Sequence[str]], object]
    classes: Callable[[Any], Sequence[int | str]]
    variables: Callable[[], Mapping[str, str]] = field(default=dict)
    lossy: bool = False
    model: Callable[[Subject], Path] = lambda subject: subject.plain
    engine: str = ""

    @property
    def ours(self) -> bool:
        return bool(self.engine)


# -- questions and answers ---------------------------------------------------------------------------------------------


def v1(texts: Sequence[str]) -> object:
    return {"instances": texts}


def v2(name: str, *more: int) -> Callable[[Sequence[str]], object]:
    def question(texts: Sequence[str]) -> object:
        tensor = {"name": name, "shape": [len(texts), *more], "datatype": "BYTES", "data": texts}
        return {"inputs": [tensor]}

    return question


def infinity(texts: Sequence[str]) -> object:
    return {"model": NAME, "input": texts}


def inputs(texts: Sequence[str]) -> object:
    return {"inputs": texts if len(texts) > 1 else texts[0]}


def predictions(answer: Any) -> Sequence[int | str]:
    found: Sequence[int | str] = answer["predictions"]
    return found


def labels(found: Any) -> Sequence[str]:
    return [one["label"] for one in (found if isinstance(found, list) else [found])]


def best_labels(answer: Any) -> Sequence[str]:
    return [max(scores, key=lambda one: one["score"])["label"] for scores in answer["data"]]


def labels_in_json(answer: Any) -> Sequence[str]:
    return [json.loads(one)["label"] for one in answer["outputs"][0]["data"]]


def label_tensor(answer: Any) -> Sequence[str]:
    (found,) = (tensor["data"] for tensor in answer["outputs"] if tensor["name"] == "label")
    return list(found)
