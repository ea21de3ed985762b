"""What can be made: of what, how well it must do, how long it takes. Without torch, which takes seconds to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


class NotMadeError(Exception):
    """What is missing or not good enough, and what to do."""


@dataclass(frozen=True)
class Recipe:
    """One model.

    :param what: it is, for people
    :param module: of this package; its `make(folder)` writes the model and returns what it measured
    :param others: further files of this package that decide what comes out
    :param packages: whose versions do, too
    :param takes: on two quiet cores, for people
    :param least: accuracy on what it has not seen; None for a model that means nothing
    """

    name: str
    what: str
    module: str
    others: tuple[str, ...]
    packages: tuple[str, ...]
    takes: str
    least: float | None


_OF_TEXTS: Final = ("wheels.txt", "wheels.py", "tokenizer.py")
_TORCH: Final = ("torch", "transformers", "tokenizers")

RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "minilm",
            "MiniLM-L6, fine-tuned to tell good reviews of films from bad ones",
            "minilm",
            (*_OF_TEXTS, "reviews.py", "batches.py"),
            _TORCH,
            "two minutes",
            0.80,
        ),
        Recipe(
            "vit",
            "a small ViT that reads digits",
            "digits",
            ("batches.py",),
            ("torch", "transformers", "pillow", "scikit-learn"),
            "half a minute",
            0.95,
        ),
        Recipe(
            "bert",
            "a model of BERT-base's shape with random weights and three labels",
            "random_bert",
            (*_OF_TEXTS, "reviews.py"),
            _TORCH,
            "a few seconds",
            None,
        ),
    )
}
