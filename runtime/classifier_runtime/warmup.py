"""The first answers of a model, before it is ready, and what they tell: how large its batches may be."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from classifier_runtime import container
from classifier_runtime.backends import budget, cuda, warming
from classifier_runtime.backends.base import Backend
from classifier_runtime.core.job import Instance, Item
from classifier_runtime.core.options import DEFAULT
from classifier_runtime.errors import ModelRefused, OutOfMemory, RequestError
from classifier_runtime.model import ModelSpec
from classifier_runtime.tasks.base import Task

log = logging.getLogger(__name__)

SECONDS: Final = 1.0
"""For shapes: with it an export of MiniLM is ready in less than three seconds on two cores."""
CUDA_TOKENS: Final = 8_192
"""Where the search begins on a GPU: small ones are full with that."""
CUDA_MOST: Final = 131_072
"""Where it ends: BERT-base takes 60 ms for that on an H100 at 40 % of its peak, and who comes next waits so long."""
ROUNDS: Final = 3
# A PNG of 8 x 8 white pixels.
_PICTURE: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR4nGP8//8/AzbAhFV00EoAAFbUAw037MyjAAAAAElFTkSuQmCC"
)


def run(spec: ModelSpec, task: Task[Any], backend: Backend, asked: int) -> int:
    """A model that cannot answer is not ready, and first answers take longer than later ones.

    :param asked: `--max_batch_tokens`; 0 where nobody said
    :returns: tokens of a batch
    :raises ModelRefused: it does not answer
    """
    try:
        like = _answered(task, backend)
        # Of those that are rounded up to the same, one is enough.
        lengths = sorted({backend.cost(1, length, length): length for length in _lengths(spec, like)}.values())
        if backend.device.startswith("cuda"):
            tokens = _on_cuda(backend, like, lengths[-1], asked)
        else:
            tokens = _on_cpu(spec, lengths[-1], asked)
        for shape in warming.within(warming.shapes(lengths, tokens), SECONDS):
            backend.forward(warming.batch(like, shape))
    except OutOfMemory as error:
        raise ModelRefused(
            "there is not enough memory to compute one batch; give the pod more, or lower --max_model_len"
        ) from error
    except RequestError as error:
        raise ModelRefused(f"the model does not answer: {error}") from error
    return tokens


def _lengths(spec: ModelSpec, like: Item) -> list[int]:
    return warming.lengths(spec.max_tokens) if spec.max_tokens else [like.tokens]


def _answered(task: Task[Any], backend: Backend) -> Item:
    """What was computed for one text, or image, from its reading to its answer."""
    image = task.name == "image-classification"
    instances = [Instance(DEFAULT, image=_PICTURE) if image else Instance(DEFAULT, text="warm " * 16)]
    encoded = task.encode(instances)
    task.decode(instances, encoded, backend.forward(encoded.items))
    return encoded.items[0]


def _on_cpu(spec: ModelSpec, longest: int, asked: int) -> int:
    tokens = asked or budget.CPU
    held = budget.held(spec.config, longest, container.memory_free())
    if held is None or held >= tokens:
        return tokens
    log.warning("batches have %d tokens: memory does not hold %d; give the pod more", held, tokens)
    return held


def _on_cuda(backend: Backend, like: Item, longest: int, asked: int) -> int:
    with cuda.margin(backend.device):
        tokens = budget.fastest(
            _seconds(backend, like, longest), least=longest, start=asked or CUDA_TOKENS, most=asked or CUDA_MOST
        )
    if tokens < asked:
        log.warning("batches have %d tokens: --max_batch_tokens %d does not fit into the GPU", tokens, asked)
    else:
        log.info("batches have %d tokens", tokens)
    return min(tokens, asked or tokens)


def _seconds(backend: Backend, like: Item, longest: int) -> Callable[[int], float]:
    """Of a batch of the longest items, which take the most memory: the best of some rounds, after one not counted."""

    def seconds(tokens: int) -> float:
        items = warming.batch(like, warming.Shape(max(1, tokens // longest), longest))
        taken = []
        for _ in range(ROUNDS + 1):
            began = time.perf_counter()
            backend.forward(items)
            taken.append(time.perf_counter() - began)
        return min(taken[1:])

    return seconds
