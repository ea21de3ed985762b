"""Where we answer otherwise than KServe's own server, on purpose.

The titles are those of `docs/runtime.md`, "What differs from KServe's own server". Each is shown by what was recorded,
or by a test of its name in `test_departures`; so none is left in the list that is no longer there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True)
class Says:
    """An answer of ours.

    :param body: its beginning as a regular expression
    """

    status: int
    body: str


@dataclass(frozen=True)
class Like:
    """What KServe answered elsewhere, `server/case`."""

    place: str


Ours: TypeAlias = Says | Like

_NUMBERS: Final = r"-?\d+\.\d+(,-?\d+\.\d+)*"
_TWO_NUMBERS: Final = r"\[-?\d+\.\d+,-?\d+\.\d+\]"


def _error(status: int, sentence: str) -> Says:
    return Says(status, re.escape('{"error":"') + sentence)


def _predictions(inside: str) -> Says:
    return Says(200, rf'\{{"predictions":\[{inside}\]\}}$')


def _tensor(shape: str, datatype: str, data: str) -> Says:
    return Says(
        200,
        rf'\{{"model_name":"m","id":"7","outputs":\[\{{"name":"output-0","shape":\[{shape}\],"datatype":"{datatype}",'
        rf'"data":\[{data}\]\}}\]\}}$',
    )


DEPARTURES: Final[Mapping[str, Mapping[str, Ours]]] = {
    "Regression": {
        "regression/v1-one": _predictions(_NUMBERS),
        "regression/v1-several": _predictions(_NUMBERS),
        "regression/v1-unusual": _predictions(_NUMBERS),
        "regression/v2-one": _tensor("1", "FP32", _NUMBERS),
        "regression/v2-several": _tensor("4", "FP32", _NUMBERS),
        "regression-logits/v1-one": _predictions(rf'\{{"0":{_NUMBERS}\}}'),
        "regression-2/v1-one": _predictions(_TWO_NUMBERS),
        "regression-2/v1-several": _predictions(rf"{_TWO_NUMBERS}(,{_TWO_NUMBERS}){{3}}"),
        "regression-2/v1-unusual": _predictions(rf"{_TWO_NUMBERS}(,{_TWO_NUMBERS}){{3}}"),
        "regression-2/v2-one": _tensor("1,2", "FP32", _NUMBERS),
        "regression-2/v2-several": _tensor("4,2", "FP32", _NUMBERS),
    },
    "Multi-label": {
        f"multi-label-probabilities/{case}": Says(200, ".+")
        for case in ("v1-one", "v1-several", "v1-unusual", "v2-one", "v2-several")
    },
    "Case": {"bert-cased-lowered/v1-several": Like("bert-cased/v1-several")},
    "Padding of token answers": {},
    "Precision": {"bert-half/v1-several": _predictions(r'\{"0":.+\}')},
    "V2": {
        # The protocol's document calls it `live`, and clients look for `ready`.
        "bert/get-v2-ready": Says(200, r'\{"ready":true,"live":true\}$'),
        "bert/get-v2": Says(200, r'\{"name":"classifier-runtime",'),
        "bert/get-v2-model": Says(200, r'\{"name":"m","versions":\["1"\],.+"inputs":\[\{"name":"input-0"'),
        "bert/get-v2-version": Says(200, r'\{"name":"m","versions":\["1"\]'),
        "bert/v2-version": Says(200, r'\{"model_name":"m","model_version":"1","id":"7","outputs"'),
        "bert/v2-shape-of-more": _error(400, r"inputs\[0\]: shape \[2\] has 2 elements, and 1 came"),
        "bert/v2-second-input": _error(400, "inputs: 'input-0', 'more': send one tensor"),
        # KServe's has the id before the name, and no content type.
        "bert/v2-binary-output": Says(200, r'\{"model_name":"m","id":"7","outputs":.+"binary_data_size":32\}\}\]\}\0'),
        "bert-probabilities/v2-binary-output": Says(200, r'\{"model_name":"m","id":"7","outputs":.+\{0: 0\.4443'),
        "bert/grpc-one": Says(0, r"\[0\]"),
    },
    "`parameters`": {
        "bert/v1-parameters": _error(400, "parameters: unknown option 'no_such_option'"),
        "bert/v2-parameters": _error(400, "parameters: unknown option 'no_such_option'"),
    },
    "What KServe cannot read": {
        "bert/v1-empty": _predictions(""),
        "bert/v2-empty": _tensor("0", "INT64", ""),
        "bert/v2-nested-data": _tensor("2", "INT64", "[012],[012]"),
        "bert/v1-object": Like("bert/v1-one"),
        "bert/v1-pair": _predictions("[012]"),
        "bert/v1-charset": Like("bert/v1-one"),
        "bert/v1-form": Like("bert/v1-one"),
    },
    "Errors": {
        "bert/get-other-path": _error(404, ""),
        "bert/get-predict": _error(405, ""),
        "bert/v1-malformed": _error(400, "Unrecognized request format"),
        "bert/v1-nested": _error(400, r"instances\[0\]: a list is a pair"),
        "bert/v1-no-instances": _error(400, "there are no instances"),
        "bert/v1-not-an-object": _error(400, "the body is no object"),
        "bert/v1-null": _error(400, r"instances\[0\]: neither a text nor an object"),
        "bert/v1-number": _error(400, r"instances\[0\]: neither a text nor an object"),
        "bert/v2-empty-inputs": _error(400, "inputs: none"),
        "bert/v2-malformed": _error(400, "Unrecognized request format"),
        "bert/v2-no-inputs": _error(400, "inputs: missing"),
        "bert/v2-numbers": _error(400, r"inputs\[0\].datatype: FP32"),
        "bert/v2-other-output": _error(400, "Unexpected inference output 'nothing' for model 'm'; it has output-0"),
        "bert/explain": _error(501, "Model with name m has no explainer"),
    },
    "Long texts": {
        "roberta/v1-long": _predictions("[01]"),
        "bert-cut-for-the-log/v1-several": Like("bert-logits/v1-several"),
    },
    "XLNet": {"xlnet/v1-one": _predictions("[012]"), "xlnet-without-types/v1-one": Like("xlnet-logits/v1-one")},
    "Readiness": {},
    "Load and unload": {"bert-unloaded/unload": _error(501, "Model with name m is the only one of its server")},
    "Metrics": {"bert/get-metrics": Says(200, r"(?s).*# TYPE classifier_requests_total counter")},
    "Not served": {},
}

BY_PLACE: Final[Mapping[str, Ours]] = {place: ours for cases in DEPARTURES.values() for place, ours in cases.items()}
