"""The task of a model."""

from __future__ import annotations

from typing import Any

from classifier_runtime.core import tokenizer_files
from classifier_runtime.core.tokens import Padding
from classifier_runtime.model import ModelSpec
from classifier_runtime.tasks import pixels
from classifier_runtime.tasks.base import Task
from classifier_runtime.tasks.image import Images
from classifier_runtime.tasks.pictures import MAX_PIXELS
from classifier_runtime.tasks.sequence import Sequences
from classifier_runtime.tasks.token import TokensOfTexts


def task_of(spec: ModelSpec, max_pixels: int = MAX_PIXELS) -> Task[Any]:
    """With its tokenizer, or how its images are made.

    :param max_pixels: of an image
    :raises ModelRefused: they cannot be read
    """
    if spec.task == "image-classification":
        return Images(pixels.read(spec.preprocessor), spec.labels, spec.problem, max_pixels)
    tokenizer = tokenizer_files.load(spec.tokenizer, spec.max_tokens)
    if spec.task == "token-classification":
        padding = Padding(spec.pad_id or 0, left=spec.pad_left)
        return TokensOfTexts(tokenizer, spec.labels, spec.input_names, padding)
    return Sequences(tokenizer, spec.labels, spec.problem, spec.input_names)
