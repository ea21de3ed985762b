"""Our answers and those of `transformers.pipeline`, of the same tiny models with the same weights in memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from classifier_runtime import model
from classifier_runtime.core.job import Classified, Floats, Instance, Item, Outcome, Tagged
from classifier_runtime.core.options import DEFAULT, Options, with_options
from classifier_runtime.tasks.base import Task
from classifier_runtime.tasks.of_model import task_of
from tests.runtime import tiny

# As RUNTIME_API has it: what two computations of the same score may differ by.
EQUAL = 5e-5


@cache
def spec(name: str) -> model.ModelSpec:
    return model.read(tiny.model(name))


@cache
def task(name: str) -> Task[Any]:
    return task_of(spec(name))


@cache
def pipeline(name: str, of: str = "") -> Any:
    """What we are compared with, on the CPU."""
    import torch
    import transformers

    # More threads than one only wait for each other: the models are tiny.
    torch.set_num_threads(1)
    return transformers.pipeline(of or spec(name).task, model=str(tiny.model(name)), device="cpu")


def options(**said: Any) -> Options:
    return with_options(DEFAULT, said)


def texts(*given: str | tuple[str, str], **said: Any) -> list[Instance]:
    """Instances with the same options."""
    asked = options(**said)
    return [
        Instance(asked, text=one) if isinstance(one, str) else Instance(asked, text=one[0], text_pair=one[1])
        for one in given
    ]


def images(*given: bytes, **said: Any) -> list[Instance]:
    return [Instance(options(**said), image=one) for one in given]


def outcomes(name: str, instances: Sequence[Instance], changed: Task[Any] | None = None) -> Sequence[Outcome]:
    """Checked, encoded, computed and decoded.

    :param changed: the model's task with something else about it
    """
    used = changed or task(name)
    for instance in instances:
        used.check(instance)
    encoded = used.encode(instances)
    return used.decode(instances, encoded, [logits(name, item) for item in encoded.items])


def logits(name: str, item: Item) -> Floats:
    """One at a time, so that nothing is padded."""
    import torch

    with torch.inference_mode():
        given = {key: torch.from_numpy(np.ascontiguousarray(value))[None] for key, value in item.arrays.items()}
        found = pipeline(name).model(**given).logits[0].float().numpy()
    return np.asarray(found, dtype=np.float32)


def classified(name: str, *given: str | tuple[str, str], **said: Any) -> list[Classified]:
    found = outcomes(name, texts(*given, **said))
    return [one for one in found if isinstance(one, Classified)]


def tagged(name: str, *given: str, **said: Any) -> list[Tagged]:
    return [one for one in outcomes(name, texts(*given, **said)) if isinstance(one, Tagged)]


def same(found: Any, expected: Any) -> None:
    """Lists of objects with the same keys, values and order; numbers that are no whole ones nearly the same."""
    assert len(found) == len(expected), (found, expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            if key == "score":
                np.testing.assert_allclose(value, other[key], rtol=0, atol=EQUAL)
            else:
                assert value == other[key], (key, one, other)
