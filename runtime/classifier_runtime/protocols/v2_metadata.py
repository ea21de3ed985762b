"""What V2 says of the server and of its model."""

from __future__ import annotations

from typing import Any, Final

import orjson

from classifier_runtime import __version__
from classifier_runtime.core.options import DEFAULT
from classifier_runtime.core.serving import Facts, Serving
from classifier_runtime.errors import UnknownModel
from classifier_runtime.protocols import v2_classes, v2_outputs
from classifier_runtime.protocols.v2_text import BASIC

VERSION: Final = "1"
"""Of the model: a process has one."""
# Names as Triton has them.
EXTENSIONS: Final = ("binary_tensor_data", "classification", "model_repository_extension")
_BYTES: Final = ("labels", "words")
_FLOATS: Final = ("scores", "probabilities", "logits")


def server() -> dict[str, Any]:
    return {"name": "classifier-runtime", "version": __version__, "extensions": list(EXTENSIONS)}


def model(serving: Serving) -> dict[str, Any]:
    """Of a loaded model: its tensors, -1 where a request decides the size; and labels and more, as texts: properties.

    :raises NotReady: not loaded yet
    """
    facts = serving.facts
    properties = {
        "task": facts.task,
        "labels": orjson.dumps(facts.labels.names).decode(),
        "id2label_verdict": facts.labels.verdict,
    }
    if facts.problem is not None:
        properties["problem_type"] = facts.problem
    if facts.max_tokens:
        properties["max_tokens"] = str(facts.max_tokens)
    return {
        "name": serving.name,
        "versions": [VERSION],
        "platform": "huggingface",
        "inputs": [{"name": "input-0", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [_output(name, facts) for name in v2_outputs.names(facts)],
        "properties": properties,
    }


def _output(name: str, facts: Facts) -> dict[str, Any]:
    datatype = "BYTES" if name in _BYTES else "FP32" if name in _FLOATS else "INT64"
    if name == BASIC and facts.scalar and not facts.tokens:
        datatype = "FP32"
    return {
        "name": name,
        "datatype": datatype,
        "shape": _of_tokens(name, facts) if facts.tokens else _shape(name, facts),
    }


def _of_tokens(name: str, facts: Facts) -> list[int]:
    match name:
        case "output-0":
            return [-1, 1, -1]
        case "offsets" | "offset_mapping":
            return [-1, -1, 2]
        case "probabilities" | "logits":
            return [-1, -1, len(facts.labels)]
        case "counts":
            return [-1]
    return [-1, -1]


def _shape(name: str, facts: Facts) -> list[int]:
    if name in ("probabilities", "logits"):
        return [-1, len(facts.labels)]
    shown = v2_classes.form(DEFAULT, facts)
    if name == "counts" or (name == BASIC and shown != "scalar") or shown == "one":
        return [-1]
    if shown == "scalar":
        return [-1] if len(facts.labels) == 1 else [-1, len(facts.labels)]
    return [-1, -1]


def check_version(version: str, name: str) -> None:
    """:param version: empty for none in particular
    :raises UnknownModel: not the one that there is
    """
    if version not in ("", VERSION):
        raise UnknownModel(f"Model with name {name} has no version {version}; it has {VERSION}.")
