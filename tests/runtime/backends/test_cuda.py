"""On a GPU. Where there is none the tests are skipped, and the run's summary says so and why."""

from __future__ import annotations

import numpy as np
import pytest

from classifier_runtime.backends import cuda
from classifier_runtime.backends.choose import Wanted, load
from classifier_runtime.backends.torch_packed import TorchPacked
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.errors import ModelFailed, ModelRefused, OutOfMemory
from tests.runtime.backends.items import images, items, of_ids, same, spec
from tests.runtime.backends.test_torch_packed import LISTED
from tests.runtime.backends.test_torch_padded import FAMILIES

WHY = cuda.problem()
pytestmark = pytest.mark.skipif(WHY is not None, reason=f"NOT TESTED ON A GPU: {WHY}")


@pytest.mark.parametrize("name", FAMILIES)
def test_float32_is_that_of_the_cpu(name: str) -> None:
    found = TorchPadded(spec(name), device="cuda:0").forward(items(name))

    same(found, TorchPadded(spec(name)).forward(items(name)), 1e-4)
    assert all(row.dtype == np.float32 and row.flags.c_contiguous for row in found)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", [*LISTED, *(f"{name}-token" for name in LISTED)])
def test_packed_equals_padded_in_half_precision(name: str, dtype: str) -> None:
    packed = TorchPacked(spec(name), device="cuda:0", dtype=dtype)

    found = packed.forward(items(name))

    same(found, TorchPadded(spec(name), device="cuda:0", dtype=dtype).forward(items(name)), 0.1)
    same(found, TorchPadded(spec(name)).forward(items(name)), 0.2)


def test_float32_is_not_packed() -> None:
    with pytest.raises(ModelRefused, match="CUDA has it in half precision only"):
        TorchPacked(spec("bert"), device="cuda:0")
    assert load(spec("bert"), Wanted(device="cuda")).backend.name == "torch-padded"
    assert load(spec("bert"), Wanted(device="cuda", dtype="bfloat16")).backend.name == "torch-packed"
    assert load(spec("bert"), Wanted()).backend.device == "cuda:0"


def test_a_batch_that_does_not_fit_is_an_error_that_the_engine_can_act_on() -> None:
    import torch

    backend = TorchPadded(spec("vit"), device="cuda:0")
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-4)
    try:
        with pytest.raises(OutOfMemory):
            backend.forward(items("vit") * 2000)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(backend.forward(items("vit"))) == len(images(3))


def test_ids_out_of_range_do_not_reach_the_device() -> None:
    backend = TorchPadded(spec("bert"), device="cuda:0")

    with pytest.raises(ModelFailed):
        backend.forward([of_ids([9_999])])
    assert len(backend.forward(items("bert"))) == len(items("bert"))
