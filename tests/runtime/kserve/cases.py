"""What KServe's server was asked: servers of one model with KServe's flags, and requests to each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

GOLDEN: Final = Path(__file__).with_name("golden")
NAME: Final = "m"
"""Of the model, in paths."""

SHORT: Final = "good film"
TEXTS: Final = (
    SHORT,
    "the worst hotel in Paris: slow, dirty and never again",
    "I hated it",
    "Angela Merkel visited New York with Peter Smith, and John lives in Berlin",
)
UNUSUAL: Final = ("", "été, Straße & 東京 🎉", "  x  ", "a\nb\tc")
# Tokens beyond what the models take.
LONG: Final = "Paris is the capital of France " * 20


@dataclass(frozen=True)
class Server:
    """:param model: of `models.MODELS`
    :param flags: as KServe has them
    """

    model: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """:param body: JSON, or a text that is none; None for a GET
    :param behind: the JSON: tensors as bytes, each byte one character
    """

    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    behind: str = ""

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"

    @property
    def content(self) -> bytes | None:
        if self.body is None:
            return None
        text = self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False)
        return text.encode() + self.behind.encode("latin-1")


_JSON: Final = {"Content-Type": "application/json"}


def v1(*instances: Any, **more: Any) -> Request:
    return Request(f"/v1/models/{NAME}:predict", {"instances": list(instances), **more}, _JSON)


def _v1(body: Any, content_type: str = "application/json") -> Request:
    return Request(f"/v1/models/{NAME}:predict", body, {"Content-Type": content_type})


def tensor(*texts: str, **more: Any) -> dict[str, Any]:
    return {"name": "input-0", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts), **more}


def v2(*texts: str, **more: Any) -> Request:
    return _v2({"id": "7", "inputs": [tensor(*texts)], **more})


def _v2(body: Any, path: str = f"/v2/models/{NAME}/infer") -> Request:
    return Request(path, body, _JSON)


def _binary(*texts: str) -> Request:
    behind = b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in texts)
    asked = _v2(
        {
            "id": "7",
            "inputs": [
                {
                    "name": "input-0",
                    "shape": [len(texts)],
                    "datatype": "BYTES",
                    "parameters": {"binary_data_size": len(behind)},
                }
            ],
        }
    )
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(asked.content or b"")),
    }
    return replace(asked, headers=headers, behind=behind.decode("latin-1"))


# Of every model, with whatever flags.
_ANSWERS: Final = {
    "v1-one": v1(SHORT),
    "v1-several": v1(*TEXTS),
    "v1-unusual": v1(*UNUSUAL),
    "v2-one": v2(SHORT),
    "v2-several": v2(*TEXTS),
}
# Ways to ask that have the same answer on every model.
_WAYS: Final = {
    "v1-inputs": _v1({"inputs": list(TEXTS)}),
    "v1-both": _v1({"instances": [SHORT], "inputs": [TEXTS[1]]}),
    "v1-bare-text": _v1({"instances": SHORT}),
    "v1-long": v1(LONG),
    "v1-cloudevent": replace(
        v1(SHORT),
        headers={
            **_JSON,
            "ce-specversion": "1.0",
            "ce-id": "1",
            "ce-source": "https://example.com/producer",
            "ce-type": "com.example.asked",
        },
    ),
    "v1-escaped": replace(v1(SHORT), path=f"/v1/models/{NAME}%3Apredict"),
    "v1-other-keys": v1(SHORT, signature_name="serving_default"),
    "v2-empty-shape": _v2({"id": "7", "inputs": [tensor(*TEXTS, shape=[])]}),
    "v2-without-id": _v2({"inputs": [tensor(SHORT)]}),
    "v2-any-name": _v2({"id": "7", "inputs": [tensor(SHORT, name="what ever")]}),
    "v2-empty-id": _v2({"id": "", "inputs": [tensor(SHORT)]}),
    "v2-nulls": _v2({"id": None, "parameters": None, "inputs": [tensor(SHORT, parameters=None)], "outputs": None}),
    "v2-no-outputs": v2(SHORT, outputs=[]),
    "v2-content-type": _v2({"id": "7", "inputs": [tensor(SHORT, parameters={"content_type": "str"})]}),
    "v2-output-named": v2(SHORT, outputs=[{"name": "output-0"}]),
    "v2-unusual": v2(*UNUSUAL),
    "v2-binary-input": _binary(*UNUSUAL),
    "v2-column": _v2({"id": "7", "inputs": [tensor(*TEXTS, shape=[4, 1])]}),
}
# What is no inference.
_PAGES: Final = {
    "get-v1-models": Request("/v1/models"),
    "get-v1-model": Request(f"/v1/models/{NAME}"),
    "get-v2": Request("/v2"),
    "get-v2-models": Request("/v2/models"),
    "get-v2-model": Request(f"/v2/models/{NAME}"),
    "get-v2-version": Request(f"/v2/models/{NAME}/versions/1"),
    "get-v2-model-ready": Request(f"/v2/models/{NAME}/ready"),
    "get-v2-live": Request("/v2/health/live"),
    "get-v2-ready": Request("/v2/health/ready"),
    "get-other-model": Request("/v1/models/other"),
    "get-other-path": Request("/nothing"),
    "get-metrics": Request("/metrics"),
    "load": Request(f"/v2/repository/models/{NAME}/load", {}, _JSON),
    "explain": Request(f"/v1/models/{NAME}:explain", {"instances": [SHORT]}, _JSON),
}
# Bad, or of a kind that few would send.
_ODD: Final = {
    "v1-empty": v1(),
    "v1-no-instances": _v1({"texts": [SHORT]}),
    "v1-malformed": _v1('{"instances": ["good'),
    "v1-not-an-object": _v1([SHORT]),
    "v1-number": v1(3),
    "v1-null": v1(None),
    "v1-nested": v1([SHORT]),
    "v1-pair": v1(["good", "film"]),
    "v1-object": v1({"text": SHORT}),
    "v1-charset": _v1({"instances": [SHORT]}, "application/json; charset=utf-8"),
    "v1-form": _v1({"instances": [SHORT]}, "application/x-www-form-urlencoded"),
    "v1-other-model": Request("/v1/models/other:predict", {"instances": [SHORT]}, _JSON),
    "get-predict": Request(f"/v1/models/{NAME}:predict"),
    "v2-binary-output": v2(*TEXTS, parameters={"binary_data_output": True}),
    "v1-parameters": v1(SHORT, parameters={"no_such_option": 1}),
    "v2-no-inputs": _v2({"id": "7"}),
    "v2-empty-inputs": _v2({"id": "7", "inputs": []}),
    "v2-empty": v2(),
    "v2-nested-data": _v2({"id": "7", "inputs": [{**tensor(), "shape": [2, 1], "data": [[SHORT], [TEXTS[1]]]}]}),
    "v2-shape-of-more": _v2({"id": "7", "inputs": [tensor(SHORT, shape=[2])]}),
    "v2-numbers": _v2({"id": "7", "inputs": [{**tensor(), "shape": [2], "datatype": "FP32", "data": [1.0, 2.0]}]}),
    "v2-second-input": _v2({"id": "7", "inputs": [tensor(SHORT), tensor(TEXTS[1], name="more")]}),
    "v2-parameters": v2(SHORT, parameters={"no_such_option": 1}),
    "v2-other-output": v2(SHORT, outputs=[{"name": "nothing"}]),
    "v2-other-model": _v2({"inputs": [tensor(SHORT)]}, "/v2/models/other/infer"),
    "v2-version": _v2({"id": "7", "inputs": [tensor(SHORT)]}, f"/v2/models/{NAME}/versions/1/infer"),
    "v2-malformed": _v2('{"inputs": ['),
}

PROBABILITIES: Final = "--return_probabilities"
LOGITS: Final = "--return_raw_logits"
OFFSETS: Final = "--return_offsets_mapping"
CASED: Final = "--disable_lower_case"
TYPES: Final = "--return_token_type_ids"
LENGTH: Final = ("--max_model_len", "64")

CASES: Final[Mapping[str, tuple[Server, Mapping[str, Request]]]] = {
    "bert": (Server("bert"), _ANSWERS | _WAYS | _PAGES | _ODD),
    "bert-probabilities": (
        Server("bert", (PROBABILITIES,)),
        _ANSWERS
        | {"v2-binary-output": v2(*TEXTS, outputs=[{"name": "output-0", "parameters": {"binary_data": True}}])},
    ),
    "bert-logits": (Server("bert", (LOGITS,)), _ANSWERS),
    "bert-unloaded": (Server("bert"), {"unload": Request(f"/v2/repository/models/{NAME}/unload", {}, _JSON)}),
    "bert-cut-for-the-log": (Server("bert", ("--max_log_len", "5", LOGITS)), {"v1-several": v1(*TEXTS)}),
    "bert-half": (Server("bert-half", (LOGITS,)), {"v1-several": v1(*TEXTS)}),
    "bert-cased": (Server("bert-cased", (CASED, LOGITS)), _ANSWERS),
    "bert-cased-lowered": (Server("bert-cased", (LOGITS,)), {"v1-several": v1(*TEXTS)}),
    "roberta": (Server("roberta"), _ANSWERS | {"v1-long": v1(LONG)}),
    "roberta-probabilities": (Server("roberta", (PROBABILITIES,)), _ANSWERS),
    "distilbert": (Server("distilbert"), _ANSWERS | {"v1-long": v1(LONG)}),
    "distilbert-probabilities": (Server("distilbert", (PROBABILITIES,)), _ANSWERS),
    "xlm-roberta": (Server("xlm-roberta"), _ANSWERS),
    "xlm-roberta-logits": (Server("xlm-roberta", (LOGITS,)), _ANSWERS),
    **{f"{name}-logits": (Server(name, (LOGITS,)), _ANSWERS) for name in ("electra", "albert", "mpnet", "deberta-v2")},
    "xlnet": (Server("xlnet"), {"v1-one": v1(SHORT)}),
    "xlnet-without-types": (Server("xlnet", (LOGITS, *LENGTH)), {"v1-one": v1(SHORT)}),
    "xlnet-logits": (Server("xlnet", (LOGITS, *LENGTH, TYPES)), _ANSWERS),
    # An empty text has no tokens here, and is refused.
    "llama-logits": (Server("llama", (LOGITS,)), {"v1-several": v1(*TEXTS), "v2-several": v2(*TEXTS)}),
    "multi-label": (Server("multi-label"), _ANSWERS),
    "multi-label-probabilities": (Server("multi-label", (PROBABILITIES,)), _ANSWERS),
    "multi-label-logits": (Server("multi-label", (LOGITS,)), _ANSWERS),
    "regression": (Server("regression"), _ANSWERS),
    "regression-logits": (Server("regression", (LOGITS,)), {"v1-one": v1(SHORT)}),
    "regression-2": (Server("regression-2"), _ANSWERS),
    "regression-2-logits": (Server("regression-2", (LOGITS,)), _ANSWERS),
    "bert-token": (Server("bert-token", (CASED,)), _ANSWERS | _WAYS),
    "bert-token-probabilities": (Server("bert-token", (CASED, PROBABILITIES)), _ANSWERS),
    "bert-token-logits": (Server("bert-token", (CASED, LOGITS)), _ANSWERS),
    "bert-token-offsets": (Server("bert-token", (CASED, OFFSETS)), _ANSWERS),
    "roberta-token": (Server("roberta-token"), _ANSWERS),
    "roberta-token-logits-offsets": (Server("roberta-token", (LOGITS, OFFSETS)), _ANSWERS),
    "distilbert-token": (Server("distilbert-token", (CASED,)), _ANSWERS),
    "distilbert-token-probabilities": (Server("distilbert-token", (CASED, PROBABILITIES)), _ANSWERS),
    "xlm-roberta-token": (Server("xlm-roberta-token"), _ANSWERS),
    "deberta-v2-token-logits": (Server("deberta-v2-token", (LOGITS,)), _ANSWERS),
    "xlnet-token-logits-offsets": (Server("xlnet-token", (LOGITS, OFFSETS, *LENGTH, TYPES)), _ANSWERS),
    "xlm-roberta-token-probabilities-offsets": (Server("xlm-roberta-token", (PROBABILITIES, OFFSETS)), _ANSWERS),
}


def golden(server: str, case: str) -> Path:
    return GOLDEN / server / f"{case}.json"
