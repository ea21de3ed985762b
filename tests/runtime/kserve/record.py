"""Records what KServe's own server answers: `PYTHONPATH=runtime:. python -m tests.runtime.kserve.record [SERVER …]`.

Some minutes, in the runtime's environment, with Go. Read the difference before it is committed.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request as Http
from urllib.request import urlopen

import grpc
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferTensorContents, ModelInferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.runtime.kserve import models, peer
from tests.runtime.kserve.cases import CASES, GOLDEN, NAME, SHORT, Request, golden

MARGIN: Final = 0.02
"""Between the two best logits of each recorded answer: a hundred times what two computations of them differ by."""
# What differs from answer to answer, and what a proxy would change.
_HEADERS: Final = ("content-type", "inference-header-content-length", "ce-specversion", "ce-source", "ce-type")


def main(servers: Sequence[str]) -> None:
    for name in sorted({CASES[server][0].model for server in servers}):
        check(name)
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        peer.lay(site)
        for server in servers:
            said, requests = CASES[server]
            shutil.rmtree(GOLDEN / server, ignore_errors=True)
            ports = (_free_port(), _free_port())
            with peer.serving(said, models.folder(said.model), site, ports) as url:
                for case, request in requests.items():
                    _write(golden(server, case), _recorded(request, url))
                if server == "bert":
                    _write(golden(server, "grpc-one"), _over_grpc(ports[1]))
            print(f"{server}: {len(requests)}", flush=True)
    _write(GOLDEN / "models.json", {name: models.print_of(name) for name in models.MODELS})


def check(name: str) -> None:
    """No recorded answer may be another on another machine.

    :raises RuntimeError: two classes are nearly as good as each other; another `seed` helps
    """
    import torch
    import transformers

    kind = transformers.AutoModelForTokenClassification
    if not models.MODELS[name].tokens:
        kind = transformers.AutoModelForSequenceClassification
    classifier = kind.from_pretrained(models.folder(name)).eval()
    nearest = float("inf")
    for lower in (True, False):
        tokenizer = transformers.AutoTokenizer.from_pretrained(models.folder(name), do_lower_case=lower)
        for texts in asked(name):
            with torch.inference_mode():
                logits = classifier(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits
            if logits.shape[-1] > 1:
                best = logits.topk(2).values
                nearest = min(nearest, float((best[..., 0] - best[..., 1]).min()))
    if nearest < MARGIN:
        raise RuntimeError(f"{name}: two classes are only {nearest:.4f} apart; give the model another seed")


def asked(model: str) -> Iterator[list[str]]:
    """Texts that are read together."""
    for server, requests in CASES.values():
        for request in requests.values() if server.model == model else ():
            said = request.body if isinstance(request.body, dict) else {}
            texts = said.get("inputs", said.get("instances"))
            if texts and isinstance(texts[0], dict):
                texts = texts[0].get("data")
            if texts and isinstance(texts, list) and all(isinstance(text, str) for text in texts):
                yield texts


def _recorded(request: Request, url: str) -> Mapping[str, Any]:
    asked: dict[str, Any] = {"method": request.method, "path": request.path, "headers": dict(request.headers)}
    if request.body is not None:
        asked["body"] = request.body
    if request.behind:
        asked["behind"] = request.behind
    try:
        with urlopen(Http(url + request.path, request.content, dict(request.headers))) as answer:
            status, headers, body = answer.status, answer.headers, answer.read()
    except HTTPError as error:
        status, headers, body = error.code, error.headers, error.read()
    kept = {name: headers[name] for name in _HEADERS if name in headers}
    binary = "inference-header-content-length" in kept
    text = body.decode("latin-1" if binary else "utf-8")
    if request.path == "/metrics":  # what is counted, and not how much of it
        text = "\n".join(line for line in text.splitlines() if line.startswith("# TYPE request_"))
    return {"request": asked, "answer": {"status": status, "headers": kept, "body": text}}


def _over_grpc(port: int) -> Mapping[str, Any]:
    """A text, which KServe cannot read over gRPC."""
    texts = InferTensorContents(bytes_contents=[SHORT.encode()])
    tensor = ModelInferRequest.InferInputTensor(name="input-0", shape=[1], datatype="BYTES", contents=texts)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = GRPCInferenceServiceStub(channel).ModelInfer(ModelInferRequest(model_name=NAME, inputs=[tensor]))
            said = {"status": "OK", "body": str(answer)}
        except grpc.RpcError as error:
            said = {"status": error.code().name, "body": str(error.details())}
    return {"request": {"method": "ModelInfer", "texts": [SHORT]}, "answer": said}


def _write(file: Path, said: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1:] or list(CASES))
