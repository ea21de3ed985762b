"""LitServe with a pipeline and its own batching: `python litserve_app.py MODEL PORT`."""

# Without `from __future__ import annotations`: it asks the signatures for types.
import sys
from collections.abc import Sequence
from typing import Any

import litserve
from transformers import pipeline

TEXTS = 32
WAIT_SECONDS = 0.005


class Classifier(litserve.LitAPI):  # type: ignore[misc]
    """Requests of one text or of several."""

    def setup(self, device: str) -> None:
        self.pipe = pipeline("text-classification", model=sys.argv[1], device="cpu")

    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["inputs"]

    def batch(self, inputs: Sequence[Any]) -> list[str]:
        self.sizes = [len(item) if isinstance(item, list) else None for item in inputs]
        return [text for item in inputs for text in (item if isinstance(item, list) else [item])]

    def predict(self, texts: list[str]) -> Any:
        return self.pipe(texts, truncation=True, batch_size=TEXTS)

    def unbatch(self, output: Any) -> list[Any]:
        answers, at = [], 0
        for size in self.sizes:
            answers.append(output[at] if size is None else output[at : at + size])
            at += size or 1
        return answers

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"outputs": output}


if __name__ == "__main__":
    api = Classifier(max_batch_size=TEXTS, batch_timeout=WAIT_SECONDS)
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning", access_log=False
    )
