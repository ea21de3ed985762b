"""On a GPU. Where there is none the tests are skipped, and the run's summary says so and why."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

from classifier_runtime import warmup
from classifier_runtime.backends import cuda, torch_model
from classifier_runtime.backends.choose import Wanted, load
from classifier_runtime.backends.torch_packed import TorchPacked
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.core.engine import Engine
from classifier_runtime.core.job import Item
from classifier_runtime.errors import ModelFailed, ModelRefused, OutOfMemory
from classifier_runtime.tasks.of_model import task_of
from tests.runtime import tiny
from tests.runtime.backends.items import images, items, of_ids, same, spec
from tests.runtime.backends.test_torch_packed import LISTED
from tests.runtime.backends.test_torch_padded import FAMILIES

WHY = cuda.problem()
pytestmark = pytest.mark.skipif(WHY is not None, reason=f"NOT TESTED ON A GPU: {WHY}")


@contextmanager
def little_memory(share: float = 1e-4) -> Iterator[None]:
    """Of the device's, for this process: of 80 GB 8 MB."""
    import torch

    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("name", FAMILIES)
def test_float32_is_that_of_the_cpu(name: str) -> None:
    found = TorchPadded(spec(name), device="cuda:0").forward(items(name))

    same(found, TorchPadded(spec(name)).forward(items(name)), 1e-4)
    assert all(row.dtype == np.float32 and row.flags.c_contiguous for row in found)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", FAMILIES)
def test_half_precision_is_near_it_and_comes_to_the_host_as_float32(name: str, dtype: str) -> None:
    found = TorchPadded(spec(name), device="cuda:0", dtype=dtype).forward(items(name))

    same(found, TorchPadded(spec(name)).forward(items(name)), 0.2)
    assert all(row.dtype == np.float32 and row.flags.c_contiguous for row in found)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", [*LISTED, *(f"{name}-token" for name in LISTED)])
def test_packed_equals_padded_in_half_precision(name: str, dtype: str) -> None:
    packed = TorchPacked(spec(name), device="cuda:0", dtype=dtype)

    found = packed.forward(items(name))

    same(found, TorchPadded(spec(name), device="cuda:0", dtype=dtype).forward(items(name)), 0.1)
    same(found, TorchPadded(spec(name)).forward(items(name)), 0.2)
    same(packed.forward(items(name)[::-1]), found[::-1], 0.1)


def test_float32_is_not_packed() -> None:
    with pytest.raises(ModelRefused, match="CUDA has it in half precision only"):
        TorchPacked(spec("bert"), device="cuda:0")
    assert load(spec("bert"), Wanted(device="cuda")).backend.name == "torch-padded"
    assert load(spec("bert"), Wanted(device="cuda", dtype="bfloat16")).backend.name == "torch-packed"
    assert load(spec("bert"), Wanted()).backend.device == "cuda:0"


def test_what_numpy_will_not_take_from_a_device_comes_to_the_host() -> None:
    import torch

    gradient = torch.ones(3, 2, dtype=torch.bfloat16, device="cuda:0", requires_grad=True)
    turned = torch.arange(6.0, dtype=torch.float16, device="cuda:0").reshape(2, 3).T

    assert torch_model.host(gradient).tolist() == [[1, 1]] * 3
    assert torch_model.host(gradient * 2).tolist() == [[2, 2]] * 3
    assert torch_model.host(turned).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert torch_model.host(turned).flags.c_contiguous
    assert torch_model.host(turned[::2]).flags.c_contiguous


def test_a_batch_that_does_not_fit_is_an_error_that_the_engine_can_act_on() -> None:
    backend = TorchPadded(spec("vit"), device="cuda:0")

    with little_memory(), pytest.raises(OutOfMemory):
        backend.forward(items("vit") * 2000)
    assert len(backend.forward(items("vit"))) == len(images(3))


async def test_the_engine_tries_in_halves_what_does_not_fit() -> None:
    backend = TorchPadded(spec("bert"), device="cuda:0")
    many = [of_ids([5] * tiny.MAX_TOKENS)] * 255
    expected = backend.forward(many)
    share = next(share for share in shares() if only_half_fits(backend, many, share))
    engine = Engine(backend, budget=len(many) * tiny.MAX_TOKENS, queue_tokens=1 << 30)
    engine.start()
    try:
        with little_memory(share):
            computed = await asyncio.wait_for(engine.compute(many), 60)
    finally:
        engine.close()
    same(computed.logits, expected, 1e-4)


def shares() -> Iterator[float]:
    """Of the device's memory, from what the model takes upwards, in the allocator's steps of 2 MiB."""
    import torch

    torch.cuda.empty_cache()
    taken, total = torch.cuda.memory_reserved(), torch.cuda.get_device_properties(0).total_memory
    for more in range(200):
        yield (taken + more * (1 << 21)) / total


def only_half_fits(backend: TorchPadded, many: Sequence[Item], share: float) -> bool:
    def fits(batch: Sequence[Item]) -> bool:
        try:
            with little_memory(share):
                return bool(backend.forward(batch))
        except OutOfMemory:
            return False

    return fits(many[: len(many) // 2 + 1]) and not fits(many)


def test_batches_are_as_large_as_fits() -> None:
    backend = TorchPadded(spec("bert"), device="cuda:0")

    tokens = warmup.run(spec("bert"), task_of(spec("bert")), backend, 0)

    assert spec("bert").max_tokens <= tokens <= warmup.CUDA_MOST


def test_what_is_tried_at_the_start_leaves_a_margin() -> None:
    import torch

    free, _ = torch.cuda.mem_get_info()
    most = int(free * (1 - cuda.MARGIN / 2))
    with cuda.margin("cuda:0"), pytest.raises(torch.OutOfMemoryError):
        torch.empty(most, dtype=torch.uint8, device="cuda:0")
    assert torch.empty(most, dtype=torch.uint8, device="cuda:0").is_cuda
    torch.cuda.empty_cache()


def test_ids_out_of_range_do_not_reach_the_device() -> None:
    for backend in (
        TorchPadded(spec("bert"), device="cuda:0"),
        TorchPacked(spec("bert"), device="cuda:0", dtype="float16"),
    ):
        for wrong in (
            of_ids([9_999]),
            of_ids([-1]),
            of_ids([5] * 129),
            of_ids([5, 6], token_type_ids=np.array([0, 2])),
        ):
            with pytest.raises(ModelFailed):
                backend.forward([wrong])
        assert len(backend.forward(items("bert"))) == len(items("bert"))


def test_an_error_that_stays_is_the_end_of_the_device() -> None:
    """In a process of its own, as no other test could use the GPU after it."""
    code = """
import torch
from classifier_runtime.backends import torch_model
from classifier_runtime.errors import DeviceLost
lost = 0
for _ in range(2):
    try:
        with torch_model.errors():
            torch.zeros(2, device="cuda")[torch.tensor([9], device="cuda")].cpu()
    except DeviceLost:
        lost += 1
print(lost)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,  # torch may fail once more at the end
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert done.stdout.strip() == "2"  # from there on every call; that liveness fails of it, tests/runtime/server shows
