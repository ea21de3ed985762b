"""What users write: annotations on a pod, its service or its namespace.

The names that were proposed upstream (`storage.kserve.io/initializer-…`, kserve #5554) are accepted as aliases; where
both stand on one object, ours counts. A wrong value never blocks a pod: it is left out, and a problem says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pullsizer.errors import InvalidValue
from pullsizer.names import CPU, GROUP, INJECT, MEMORY, RESOURCES, SIZING
from pullsizer.policy import Mode, Tune, parse_mode, parse_tune
from pullsizer.quantity import parse_written, write
from pullsizer.suggest import nearest

PREFIX: Final = f"{GROUP}/"
MODE: Final = f"{PREFIX}mode"
MODEL_SIZE: Final = f"{PREFIX}model-size"
TUNE: Final = f"{PREFIX}tune"
_SIDES: Final = ("request", "limit")
_RESOURCE_KEYS: Final = {f"{PREFIX}{resource}-{side}": (resource, side) for resource in RESOURCES for side in _SIDES}
_ALIASES: Final = {
    f"storage.kserve.io/initializer-{resource}-{side}": f"{PREFIX}{resource}-{side}"
    for resource in (CPU, MEMORY)
    for side in _SIDES
}
KEYS: Final = frozenset({MODE, MODEL_SIZE, TUNE, *_RESOURCE_KEYS, *_ALIASES})
"""All annotations that users may write."""


@dataclass(frozen=True)
class Overrides:
    """What a person asked for. Amounts in millicores and bytes.

    :param model_size: bytes of the model; stands in for what was measured
    :param tune: whether the downloader may be given other settings
    """

    mode: Mode | None = None
    model_size: int | None = None
    tune: Tune | None = None
    requests: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    def over(self, general: Overrides) -> Overrides:
        """These, and where they say nothing the more general ones.

        A request that these name beside a lower limit from the general ones makes the limit void, and the other way
        round: the nearer word counts.
        """
        requests, limits = {**general.requests, **self.requests}, {**general.limits, **self.limits}
        for name in RESOURCES:
            if requests.get(name, 0) > limits.get(name, requests.get(name, 0)):
                (limits if name in self.requests else requests).pop(name)
        return Overrides(
            mode=self.mode or general.mode,
            model_size=self.model_size if self.model_size is not None else general.model_size,
            tune=self.tune or general.tune,
            requests=requests,
            limits=limits,
        )

    def __bool__(self) -> bool:
        return bool(self.mode or self.tune or self.model_size is not None or self.requests or self.limits)


NONE: Final = Overrides()


@dataclass(frozen=True)
class Problem:
    """An annotation with a wrong value."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


def parse_overrides(annotations: Mapping[str, str] | None) -> tuple[Overrides, tuple[Problem, ...]]:
    """What the annotations ask for, and what is wrong with them. Never raises: what is wrong is left out."""
    if not annotations or not any(key in KEYS for key in annotations):
        return NONE, ()
    mode: Mode | None = None
    size: int | None = None
    tune: Tune | None = None
    amounts: dict[str, dict[str, int]] = {"request": {}, "limit": {}}
    problems: list[Problem] = []
    # Aliases first, so that our own names overwrite them.
    for key in sorted(KEYS.intersection(annotations), key=lambda name: (name not in _ALIASES, name)):
        value = annotations[key]
        try:
            if key == MODE:
                mode = parse_mode(value)
            elif key == MODEL_SIZE:
                size = parse_written(value, MEMORY)
            elif key == TUNE:
                tune = parse_tune(value)
            else:
                resource, side = _RESOURCE_KEYS[_ALIASES.get(key, key)]
                amounts[side][resource] = parse_written(value, resource)
        except InvalidValue as error:
            problems.append(Problem(key, str(error)))
    for resource in RESOURCES:
        request, limit = amounts["request"].get(resource), amounts["limit"].get(resource)
        if request is not None and limit is not None and request > limit:
            problems.append(
                Problem(
                    f"{PREFIX}{resource}-limit",
                    f"{write(limit, resource)!r} is below the {resource} request of {write(request, resource)}; "
                    "raise the limit or lower the request",
                )
            )
            del amounts["request"][resource], amounts["limit"][resource]
    return Overrides(mode, size, tune, amounts["request"], amounts["limit"]), tuple(problems)


def unknown_keys(annotations: Mapping[str, str] | None) -> tuple[Problem, ...]:
    """Annotations under our prefix that mean nothing where they stand: misspelt, or meant for something else."""
    problems = []
    for key in annotations or ():
        if not key.startswith(PREFIX) or key in KEYS:
            continue
        if key == SIZING:
            message = "is written on pods by Pullsizer and read nowhere else; remove it here"
        elif key == INJECT:
            message = "is a label, for namespaces and pods; write it under metadata.labels"
        else:
            names = (name.removeprefix(PREFIX) for name in KEYS if name.startswith(PREFIX))
            message = f"is not an annotation that Pullsizer knows{nearest(key.removeprefix(PREFIX), names)}"
        problems.append(Problem(key, message))
    return tuple(problems)
