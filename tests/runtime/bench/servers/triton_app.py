"""Triton with a pipeline and its own batching: `python triton_app.py MODEL HTTP_PORT GRPC_PORT`."""

import sys
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from transformers import pipeline

TEXTS = 32
WAIT_MICROSECONDS = 5000


def main(model: str, http_port: int, grpc_port: int) -> None:
    pipe: Any = pipeline("text-classification", model=model, device="cpu")

    @batch  # type: ignore[untyped-decorator]
    def classify(text: Any) -> dict[str, Any]:
        found = pipe([one.decode() for one in text[:, 0]], truncation=True, batch_size=TEXTS)
        return {
            "label": np.array([[one["label"].encode()] for one in found]),
            "score": np.array([[one["score"]] for one in found], np.float32),
        }

    listen = TritonConfig(
        http_address="127.0.0.1",
        http_port=http_port,
        grpc_address="127.0.0.1",
        grpc_port=grpc_port,
        allow_metrics=False,
    )
    with Triton(config=listen) as triton:
        triton.bind(
            "m",
            classify,
            inputs=[Tensor(dtype=bytes, shape=(1,), name="text")],
            outputs=[Tensor(dtype=bytes, shape=(1,), name="label"), Tensor(dtype=np.float32, shape=(1,), name="score")],
            config=ModelConfig(
                max_batch_size=TEXTS, batcher=DynamicBatcher(max_queue_delay_microseconds=WAIT_MICROSECONDS)
            ),
        )
        triton.serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
