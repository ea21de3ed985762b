"""What the classes are called, by the model's own `config.json`.

`id2label` is written by people and programs: with keys that are numbers or texts, with classes missing, doubled or out
of order, with labels that are numbers. What transformers makes of it loses the difference, so the file itself is read.
A label is sent as it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["named", "default", "partial", "absent", "invalid"]


@dataclass(frozen=True, slots=True)
class Labels:
    """A name for every class.

    :param names: by id, as many as the model has logits; `LABEL_n` where the model names none
    :param verdict: what the model's own map is: `named` in full; `default`, the LABEL_n that transformers writes;
        `partial`; `absent`; or `invalid`, no map from numbers to labels
    """

    names: tuple[str, ...]
    verdict: Verdict

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: int) -> str:
        return self.names[number]


def labels_of(config: Mapping[str, Any], classes: int) -> Labels:
    """Of a model's `config.json`.

    :param classes: how many logits the model gives, which is how many classes there are, whatever the map says
    """
    written = config.get("id2label")
    default = tuple(f"LABEL_{number}" for number in range(classes))
    if written is None:
        return Labels(default, "absent")
    if not isinstance(written, Mapping):
        return Labels(default, "invalid")
    found: dict[int, str] = {}
    for key, label in written.items():
        try:
            number = int(key)
        except (TypeError, ValueError):
            return Labels(default, "invalid")
        if 0 <= number < classes and label is not None:
            # Half of a pair of surrogates, which JSON can write, could be sent to nobody.
            found[number] = str(label).encode("utf-8", "replace").decode()
    names = tuple(found.get(number, default[number]) for number in range(classes))
    if len(found) < classes:
        return Labels(names, "partial")
    return Labels(names, "default" if names == default else "named")
