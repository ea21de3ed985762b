from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier_runtime import warmup
from classifier_runtime.backends import cuda, warming
from classifier_runtime.backends.layouts import GRID
from classifier_runtime.backends.openvino import OpenVino
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.backends.warming import Shape
from classifier_runtime.checkpoint import OPENVINO
from classifier_runtime.core.job import Floats, Item
from classifier_runtime.errors import ModelFailed, ModelRefused, OutOfMemory
from classifier_runtime.model import read
from classifier_runtime.tasks.of_model import task_of
from tests.runtime import exported, tiny
from tests.runtime.backends.items import item, items, of_ids, same, spec


def test_lone_texts_come_before_full_batches_and_long_texts_last() -> None:
    assert warming.lengths(40) == [8, 16, 24, 32, 40]
    assert warming.lengths(160)[-5:] == [112, 120, 128, 144, 160]
    assert list(warming.shapes([16, 64, 128, 256, 512], 128)) == [
        (1, 16),
        (1, 64),
        (1, 128),
        (8, 16),
        (2, 64),
        (1, 256),
        (1, 512),
    ]
    assert list(warming.shapes([196], 512)) == [(1, 196), (2, 196)]


@given(longest=st.integers(1, 9000), budget=st.integers(1, 20_000))
def test_no_shape_is_over_the_budget_nor_longer_than_the_model_takes(longest: int, budget: int) -> None:
    found = list(warming.shapes(warming.lengths(longest), budget))

    assert len(found) == len(set(found))
    assert all(1 <= shape.tokens <= longest for shape in found)
    assert all(shape.items * shape.tokens <= budget for shape in found if shape.items > 1)
    assert found[-1].tokens == longest or longest <= warming.COMMON


class Clock:
    """It goes on when something is computed.

    :param pace: seconds of a token
    """

    def __init__(self, pace: float) -> None:
        self.pace, self.now = pace, 0.0

    def __call__(self) -> float:
        return self.now

    def warm(self, shapes: list[Shape], seconds: float) -> list[Shape]:
        done = []
        for shape in warming.within(shapes, seconds, self):
            self.now += self.pace * shape.items * shape.tokens
            done.append(shape)
        return done


def test_what_would_not_be_done_in_time_is_left_out_but_for_the_first() -> None:
    shapes = [Shape(1, 10), Shape(8, 10), Shape(1, 20), Shape(1, 30)]

    assert Clock(pace=0.1).warm(shapes, 20) == shapes
    assert Clock(pace=0.1).warm(shapes, 3.5) == [(1, 10), (1, 20)]
    assert Clock(pace=9).warm(shapes, 3) == [(1, 10)]
    assert Clock(pace=1).warm([], 3) == []


@given(known=st.integers(1, 9), wanted=st.integers(1, 40))
def test_a_made_up_text_begins_and_ends_as_the_real_one(known: int, wanted: int) -> None:
    like = of_ids(range(10, 10 + known), token_type_ids=np.zeros(known, np.int64))

    first, second = warming.batch(like, Shape(2, wanted))

    assert first is second
    assert first.tokens == wanted
    assert {len(values) for values in first.arrays.values()} == {wanted}
    assert first.arrays["input_ids"][-1] == like.arrays["input_ids"][-1]
    assert wanted == 1 or first.arrays["input_ids"][0] == like.arrays["input_ids"][0]


@pytest.mark.parametrize("name", ["bert", "gpt2", "roberta-token"])
def test_made_up_texts_are_answered_by_every_kind_of_model(name: str) -> None:
    like = item(name, "good film")

    for shape in (Shape(3, 1), Shape(2, 50), Shape(1, tiny.MAX_TOKENS)):
        assert len(TorchPadded(spec(name)).forward(warming.batch(like, shape))) == shape.items


class Watched:
    """A backend that remembers its batches, and may fail.

    :param holds: tokens; more is out of memory
    """

    def __init__(self, name: str, holds: int = 1 << 40) -> None:
        folder = exported.folder(name)
        self._own = OpenVino(read(folder), folder / OPENVINO, threads=1)
        self.name, self.device, self.classes = "watched", "cpu", self._own.classes
        self.holds = holds
        self.seen: list[Shape] = []

    def forward(self, batch: Any) -> Any:
        self.seen.append(Shape(len(batch), batch[0].tokens))
        if sum(one.tokens for one in batch) > self.holds:
            raise OutOfMemory("too much")
        return self._own.forward(batch)

    def cost(self, items: int, longest: int, tokens: int) -> int:
        return self._own.cost(items, longest, tokens)


def test_a_start_warms_what_will_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "SECONDS", 60)
    for name in ("bert", "vit"):
        watched = Watched(name)
        model = read(exported.folder(name))

        assert warmup.run(model, task_of(model), watched, 0) == 512

        _, *warmed = watched.seen
        lengths = warming.lengths(model.max_tokens) if model.max_tokens else [4]
        assert warmed == list(warming.shapes(lengths, 512))


def test_a_model_that_is_warm_answers_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, model = Watched("bert"), read(exported.folder("bert"))
    before = watched.forward(items("bert"))

    warmup.run(model, task_of(model), watched, 0)

    same(watched.forward(items("bert")), before, 0)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModelFailed("the model failed"), "the model does not answer: the model failed"),
        (OutOfMemory("of all"), "not enough memory to compute one batch; give the pod more, or lower --max_model_len"),
    ],
)
def test_a_model_that_fails_when_it_is_warmed_is_refused_with_the_reason(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read(exported.folder("bert"))
    for fails_at in (1, 2):
        watched = Watched("bert")

        def forward(batch: list[Item], fails_at: int = fails_at, watched: Watched = watched) -> list[Floats]:
            watched.seen.append(Shape(len(batch), batch[0].tokens))
            if len(watched.seen) == fails_at:
                raise error
            return [np.zeros(3, np.float32)] * len(batch)

        monkeypatch.setattr(watched, "forward", forward)
        with pytest.raises(ModelRefused, match=message):
            warmup.run(model, task_of(model), watched, 0)


def test_memory_caps_the_batches_of_a_cpu(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(warmup, "SECONDS", 0.0)
    model = read(exported.folder("bert"))
    a_token = 4 * (8 * tiny.HIDDEN + 2 * 64 + GRID * (4 * tiny.HIDDEN + 4 * tiny.MAX_TOKENS))

    monkeypatch.setattr("classifier_runtime.container.memory_free", lambda: 2 * 100 * a_token)
    assert warmup.run(model, task_of(model), Watched("bert"), 0) == 100
    assert "batches have 100 tokens: memory does not hold 512; give the pod more" in caplog.text

    monkeypatch.setattr("classifier_runtime.container.memory_free", lambda: 2 * 2000 * a_token)
    assert warmup.run(model, task_of(model), Watched("bert"), 0) == 512
    assert warmup.run(model, task_of(model), Watched("bert"), 1000) == 1000
    assert warmup.run(model, task_of(model), Watched("bert"), 9000) == 2000


def test_on_a_gpu_the_batches_are_as_large_as_fits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(warmup, "SECONDS", 0.0)
    monkeypatch.setattr(warmup, "ROUNDS", 1)
    monkeypatch.setattr(cuda, "margin", lambda _: nullcontext())
    monkeypatch.setattr(warmup, "CUDA_TOKENS", 1024)
    monkeypatch.setattr("classifier_runtime.backends.budget.GAIN", 0)
    model = read(exported.folder("bert"))

    def found(holds: int, asked: int) -> int:
        watched = Watched("bert", holds)
        watched.device = "cuda:0"
        return warmup.run(model, task_of(model), watched, asked)

    assert found(5000, 0) == 4096
    assert found(5000, 2048) == 2048
    assert found(500, 2048) == 256
    assert "batches have 256 tokens: --max_batch_tokens 2048 does not fit into the GPU" in caplog.text
    assert found(5000, 64) == 64
    with pytest.raises(ModelRefused, match="not enough memory to compute one batch"):
        found(tiny.MAX_TOKENS - 1, 0)
