"""What of the GPU's benchmark needs no GPU: the arithmetic, and that it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from classifier_runtime.backends import cuda
from tests.runtime.backends.items import of_ids
from tests.runtime.bench import gpu

BERT_BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}


def test_bert_base_takes_22_billion_operations_for_128_tokens() -> None:
    # 85 million weights, twice, for each of 128 tokens; attention adds 2.8 %.
    assert gpu.operations(BERT_BASE, 128) == pytest.approx(2 * 84.9e6 * 128 * 1.028, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 4090", None),
    ],
)
def test_a_device_is_known_by_its_whole_name(name: str, peak: float | None) -> None:
    assert gpu.datasheet(name) == peak


def test_batches_are_filled_in_order_and_padding_counts_for_who_pads() -> None:
    items = [of_ids([5] * length) for length in (10, 20, 5, 5)]

    def sizes(*, padded: bool) -> list[int]:
        return [len(batch) for batch in gpu.batches(items, 40, padded=padded)]

    assert sizes(padded=False) == [4]
    assert sizes(padded=True) == [2, 2]


def test_ours_and_plain_transformers_compute_the_same(tmp_path: Path) -> None:
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    spec = gpu.made(tmp_path, vocab_size=50, **small)
    records = [
        {"kind": "device", "name": "a CPU", "measured": gpu.peak("cpu", 64, 5), "datasheet": None},
        *gpu.measure(spec, "cpu", "bfloat16", rounds=1, count=6, sizes=(64, 256)),
    ]

    said = gpu.table(records)

    assert len(records) == 1 + 2 * 2 * 2
    assert said.count("ours is") == 2
    assert "a CPU: 0 TFLOP/s measured" in said
    batch = [of_ids(range(1, 9)), of_ids([7, 8, 9])]
    one, other = (run(batch) for run in gpu.engines(spec, "cpu", "float32").values())
    assert [list(row) for row in one] == [pytest.approx(list(row), abs=1e-5) for row in other]  # type: ignore[attr-defined] # rows of arrays


def test_without_a_gpu_it_says_why_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cuda, "problem", lambda: "no NVIDIA driver here")

    assert gpu.main([]) == 0
    assert capsys.readouterr().out == "NOT MEASURED: no NVIDIA driver here\n"
