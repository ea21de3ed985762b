"""The classes that are right: by transformers in float32, in a process of its own.

`python -m tests.runtime.bench.reference MODEL < TEXTS.json` prints logits.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

BATCH: Final = 16
NEAR_TIE: Final = 1e-4
"""Between the best two logits: there, either is right."""


def classes(model: Path, texts: Sequence[str], kept: Path) -> list[int | None]:
    """The best class of each text; None for a near tie.

    :param kept: where the logits are, or will be, for the next time
    """
    if not kept.exists():
        command = [sys.executable, "-W", "ignore", "-m", "tests.runtime.bench.reference", str(model)]
        done = subprocess.run(command, input=json.dumps(texts), stdout=subprocess.PIPE, text=True, check=True)
        kept.write_text(done.stdout)
    return [best(row) for row in json.loads(kept.read_text())]


def best(logits: Sequence[float]) -> int | None:
    first, second = sorted(logits, reverse=True)[:2]
    return None if first - second < NEAR_TIE else logits.index(first)


def main(model: str, texts: Sequence[str]) -> list[Any]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    classifier = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    found: dict[int, Any] = {}
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    with torch.inference_mode():
        for at in range(0, len(order), BATCH):
            places = order[at : at + BATCH]
            asked = tokenizer([texts[place] for place in places], truncation=True, padding=True, return_tensors="pt")
            found |= zip(places, classifier(**asked).logits.tolist(), strict=True)
    return [found[place] for place in range(len(texts))]


if __name__ == "__main__":
    json.dump(main(sys.argv[1], json.load(sys.stdin)), sys.stdout)
