"""`make bench-gpu`: BERT-base on a GPU, ours beside the same model in plain transformers, and the share of its peak.

Both are given ids on the host and give logits on the host, in the same dtype. Plain transformers pads a batch to its
longest text, in the order in which texts come; each may have the batch that suits it best. Random weights: time does
not depend on what they are. Raw data go to `.bench/gpu.jsonl`, one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np

from classifier_runtime.backends import cuda
from classifier_runtime.core.job import Item
from classifier_runtime.model import ModelSpec, read

RAW: Final = Path(__file__).parents[3] / ".bench" / "gpu.jsonl"
DTYPES: Final = ("bfloat16", "float16")
BATCHES: Final = (4096, 16_384, 65_536)
"""Tokens of one computation."""
TEXTS: Final = 2048
AIM: Final = 0.4
"""Of the datasheet's peak, in bfloat16, texts of 128 tokens."""
# Dense, without sparsity, from NVIDIA's datasheets of each: bfloat16 and float16 alike.
DATASHEET: Final[Mapping[str, float]] = {
    "H200": 989e12,
    "H100 80GB HBM3": 989e12,  # SXM
    "H100 PCIe": 756e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "T4": 65e12,  # float16 only
}
Record = dict[str, Any]
Run = Callable[[Sequence[Item]], object]


def operations(config: Mapping[str, Any], tokens: int) -> int:
    """Of one text, twice the multiplications: in each layer four products of hidden by hidden, two of hidden by
    intermediate, and every token's scores to all others and their sum of values.
    """
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    layer = 2 * (4 * hidden * hidden + 2 * hidden * inner) + 4 * hidden * tokens
    return int(config["num_hidden_layers"] * layer * tokens)


def datasheet(name: str) -> float | None:
    """Operations a second, by the words of the device's name; None where it is not in the table."""
    words = name.replace("-", " ").split()
    known = [key for key in DATASHEET if set(key.split()) <= set(words)]
    return DATASHEET[max(known, key=len)] if known else None


def lengths(kind: str, count: int) -> list[int]:
    """Tokens of texts: all 128, or as people write."""
    if kind == "128":
        return [128] * count
    drawn = np.random.default_rng(7).lognormal(3.47, 0.68, count)  # see tests/runtime/bench/texts.py
    return [int(length) for length in np.clip(drawn.round(), 4, 128)]


def batches(items: Sequence[Item], tokens: int, *, padded: bool) -> list[list[Item]]:
    """In the order in which they came, each within so many tokens, padding counted if there is any."""
    made: list[list[Item]] = []
    longest = total = 0
    for item in items:
        longest, total = max(longest, item.tokens), total + item.tokens
        cost = longest * (len(made[-1]) + 1) if made and padded else total
        if not made or cost > tokens:
            made.append([])
            longest = total = item.tokens
        made[-1].append(item)
    return made


def table(records: Iterable[Record]) -> str:
    """The best batch of each, medians, and their ratio."""
    found = list(records)
    about = next(one for one in found if one["kind"] == "device")
    known = "" if about["datasheet"] is None else f", {about['datasheet'] / 1e12:.0f} by its datasheet"
    lines = [
        f"{about['name']}: {about['measured'] / 1e12:.0f} TFLOP/s measured in a product of 8192 x 8192 bfloat16{known}",
        f"{'texts':>8} {'dtype':>9} {'':>13} {'batch':>7} {'texts/s':>9} {'of measured':>12} {'of datasheet':>13}",
    ]
    runs = [one for one in found if one["kind"] == "run"]
    for texts, dtype in dict.fromkeys((one["texts"], one["dtype"]) for one in runs):
        best: dict[str, Record] = {}
        for one in runs:
            if (one["texts"], one["dtype"]) == (texts, dtype):
                engine = one["engine"]
                best[engine] = max(one, best.get(engine, one), key=lambda run: statistics.median(run["texts_s"]))
        for engine, one in best.items():
            rate = statistics.median(one["texts_s"])
            done = rate * one["operations"]
            share = "-" if about["datasheet"] is None else f"{done / about['datasheet']:.0%}"
            lines.append(
                f"{texts:>8} {dtype:>9} {engine:>13} {one['batch']:>7} {rate:>9.0f}"
                f" {done / about['measured']:>12.0%} {share:>13}"
            )
        rates = {engine: statistics.median(one["texts_s"]) for engine, one in best.items()}
        lines.append(f"{'':>33}ours is {rates['ours'] / rates['transformers']:.2f} times as fast")
    return "\n".join(lines)


def peak(device: str, size: int = 8192, rounds: int = 50) -> float:
    """Operations a second of one large product in bfloat16, of random numbers: zeros are faster than anything real."""
    import torch

    one, other = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        (one @ other)[0, 0].item()
        taken.append(time.perf_counter() - began)
    return 2 * size**3 / statistics.median(taken[rounds // 5 :])


def engines(spec: ModelSpec, device: str, dtype: str) -> dict[str, Run]:
    """What computes a batch."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from classifier_runtime.backends import arrays
    from classifier_runtime.backends.torch_packed import TorchPacked

    plain = AutoModelForSequenceClassification.from_pretrained(spec.path, dtype=getattr(torch, dtype)).to(device).eval()

    def transformers(items: Sequence[Item]) -> object:
        padded = arrays.pad(spec, items, max(item.tokens for item in items))
        with torch.inference_mode():
            batch = {name: torch.from_numpy(values).to(device) for name, values in padded.items()}
            return plain(**batch).logits.float().cpu().numpy()

    return {"transformers": transformers, "ours": TorchPacked(spec, device=device, dtype=dtype).forward}


def made(folder: Path, **config: Any) -> ModelSpec:
    """BERT-base, or what else is said."""
    from transformers import BertConfig, BertForSequenceClassification

    BertForSequenceClassification(BertConfig(num_labels=3, **config)).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")  # ids are made up
    return read(folder)


def measure(
    spec: ModelSpec, device: str, dtype: str, *, rounds: int, count: int = TEXTS, sizes: Sequence[int] = BATCHES
) -> Iterable[Record]:
    """Both in turns, with each batch."""
    runs = engines(spec, device, dtype)
    random = np.random.default_rng(0)
    for texts in ("128", "mixed"):
        counts = lengths(texts, count)
        items = [Item({"input_ids": random.integers(1, spec.config["vocab_size"], size)}, size) for size in counts]
        for size in sizes:
            rates: dict[str, list[float]] = {name: [] for name in runs}
            for turn in range(rounds + 1):
                for name, run in runs.items():
                    filled = batches(items, size, padded=name == "transformers")
                    began = time.perf_counter()
                    for batch in filled:
                        run(batch)
                    if turn:  # the first is not counted
                        rates[name].append(count / (time.perf_counter() - began))
            for name in runs:
                yield {
                    "kind": "run",
                    "engine": name,
                    "dtype": dtype,
                    "texts": texts,
                    "batch": size,
                    "operations": statistics.fmean(operations(spec.config, tokens) for tokens in counts),
                    "texts_s": rates[name],
                }


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("make bench-gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    said = parser.parse_args(argv)
    if why := cuda.problem():
        print(f"NOT MEASURED: {why}")
        return 0
    import torch

    RAW.parent.mkdir(exist_ok=True)
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as folder, RAW.open("w", encoding="utf-8") as raw:
        name = torch.cuda.get_device_name(0)
        about = {"torch": torch.__version__, "cuda": torch.version.cuda}
        note(
            raw,
            records,
            {"kind": "device", "name": name, "measured": peak("cuda:0"), "datasheet": datasheet(name), **about},
        )
        spec = made(Path(folder))
        for dtype in DTYPES:
            for record in measure(spec, "cuda:0", dtype, rounds=said.rounds):
                note(raw, records, record)
    print(table(records))
    print(f"aim: {AIM:.0%} of the datasheet's peak in bfloat16 with texts of 128 tokens; raw data in {RAW}")
    return 0


def note(raw: TextIO, records: list[Record], record: Record) -> None:
    records.append(record)
    raw.write(json.dumps(record) + "\n")
    raw.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
