"""A small ViT on the digits that scikit-learn brings (UCI, CC BY 4.0): handwritten, 8 x 8 pixels in grey.

They are shown to it as a server shows them: read from PNG, resized and normalised by its preprocessor_config.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from transformers import ViTConfig, ViTForImageClassification

from classifier_runtime.tasks import pixels
from tests.models.batches import rate, told

NAMES: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
HELD_OUT: Final = 360  # a fifth
EDGE: Final = 32
PATCH: Final = 8
EPOCHS: Final = 35
PEAK_RATE: Final = 1.5e-3
WARM_UP: Final = 60
BATCH: Final = 64
SHIFT: Final = 2  # pixels at most, each batch another way: who wrote a digit did not always write it in the middle
PROCESSOR: Final = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": EDGE, "width": EDGE},
    "resample": 2,  # bilinear
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def make(folder: Path) -> dict[str, Any]:
    """Writes the model; what was measured."""
    torch.manual_seed(0)
    digits = load_digits()
    images = [Image.fromarray((image * (255 / 16)).astype(np.uint8)) for image in digits.images]  # 16 is white
    labels = torch.tensor(digits.target)
    seen = pixels.of(PROCESSOR, "the recipe")
    values = torch.tensor(np.stack([seen.array(image.convert("RGB")) for image in images]))
    order = torch.randperm(len(labels))
    held_out, training = order[:HELD_OUT], order[HELD_OUT:]
    model = _untrained()
    threads = torch.get_num_threads()
    torch.set_num_threads(
        1
    )  # half a minute; on a busy machine more threads of so small a model mostly wait for each other
    _train(model, values[training], labels[training])
    torch.set_num_threads(threads)
    with torch.inference_mode():
        scores = model.eval()(values[held_out]).logits.softmax(-1)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR, indent=2) + "\n", encoding="utf-8")
    (folder / "examples").mkdir()
    for digit, name in enumerate(NAMES):
        clearest = torch.where(labels[held_out] == digit, scores[:, digit], -1).argmax()
        images[int(held_out[clearest])].save(folder / "examples" / f"{name}.png")
    return {
        "accuracy": (scores.argmax(-1) == labels[held_out]).float().mean().item(),
        "held_out": HELD_OUT,
        "training": len(training),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "data": "scikit-learn's digits",
    }


def _untrained() -> Any:
    names = dict(enumerate(NAMES))
    return ViTForImageClassification(
        ViTConfig(
            image_size=EDGE,
            patch_size=PATCH,
            hidden_size=96,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=192,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            id2label=names,
            label2id={name: place for place, name in names.items()},
        )
    )


def _train(model: Any, values: torch.Tensor, labels: torch.Tensor) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    per_epoch = -(-len(labels) // BATCH)
    steps = EPOCHS * per_epoch
    model.train()
    for step in told(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(labels)).split(BATCH)
        batch = order[step % per_epoch]
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps, PEAK_RATE, WARM_UP)
        moved = torch.randint(-SHIFT, SHIFT + 1, (2,)).tolist()
        model(values[batch].roll(moved, (2, 3)), labels=labels[batch]).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
