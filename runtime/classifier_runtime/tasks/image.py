"""Classes of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from classifier_runtime.core import scoring
from classifier_runtime.core.job import Classified, Floats, Instance, Item, always
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.scoring import Problem
from classifier_runtime.errors import InvalidRequest, TooLarge
from classifier_runtime.families import PIXELS_PER_TOKEN
from classifier_runtime.tasks import pictures
from classifier_runtime.tasks.base import Encoded
from classifier_runtime.tasks.classes import classified
from classifier_runtime.tasks.pixels import Pixels
from classifier_runtime.tasks.sequence import refuse

_REASON: Final = "it is for texts, and this model classifies images"
_OF_TEXTS: Final[Mapping[str, str]] = dict.fromkeys(
    (
        "aggregation_strategy",
        "ignore_labels",
        "stride",
        "truncate",
        "truncation_direction",
        "candidate_labels",
        "multi_label",
        "hypothesis_template",
    ),
    _REASON,
)
_PIXELS_OF_A_REQUEST: Final = 4
"""Times those of the largest image. A request's photographs have fewer; black ones have a thousand times more than its
bytes, and would be decoded for minutes."""


@dataclass(frozen=True, slots=True)
class Images:
    """`image-classification`.

    :param max_pixels: of an image, as it is sent and as it is resized
    """

    pixels: Pixels
    labels: Labels
    problem: Problem | None
    max_pixels: int = pictures.MAX_PIXELS

    name = "image-classification"

    def check(self, instance: Instance) -> None:
        if instance.image is None:
            raise InvalidRequest("this model classifies images; send one, not a text")
        refuse(instance.options, _OF_TEXTS)

    def encode(self, instances: Sequence[Instance], go_on: Callable[[], None] = always) -> Encoded[None]:
        self._check_pixels(instances, go_on)
        items = []
        for place, instance in enumerate(instances):
            go_on()
            items.append(self._item(place, instance))
        return Encoded(items, None)

    def decode(
        self, instances: Sequence[Instance], encoded: Encoded[None], logits: Sequence[Floats]
    ) -> Sequence[Classified]:
        rows = np.stack(logits)
        scoring.check(rows, range(len(rows)))
        return classified([instance.options for instance in instances], rows, self.labels, self.problem)

    def _check_pixels(self, instances: Sequence[Instance], go_on: Callable[[], None]) -> None:
        """:raises TooLarge: by what the images say of themselves, before any is decoded"""
        most = _PIXELS_OF_A_REQUEST * self.max_pixels
        if len(instances) <= _PIXELS_OF_A_REQUEST:  # each is looked at by itself
            return
        total = 0
        for instance in instances:
            go_on()
            total += pictures.pixels(instance.image or b"")
            if total > most:
                raise TooLarge(
                    f"the images of the request have more than {most} pixels together; send fewer at a time, or "
                    "smaller ones, or raise --max_pixels"
                )

    def _item(self, place: int, instance: Instance) -> Item:
        try:
            values = self.pixels.array(pictures.opened(instance.image or b"", self.max_pixels), self.max_pixels)
        except (InvalidRequest, TooLarge) as error:
            raise type(error)(f"instance {place}: {error}") from None
        return Item({"pixel_values": values}, max(values[0].size // PIXELS_PER_TOKEN, 1))
