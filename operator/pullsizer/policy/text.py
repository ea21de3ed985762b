"""From the policy's text to the policy, or to every problem of the text at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pullsizer.errors import InvalidPolicy
from pullsizer.policy.policy import Policy
from pullsizer.suggest import nearest


class _UniqueKeys(yaml.SafeLoader):
    """Refuses what YAML would let pass in silence.

    Of two equal keys it keeps the last. A policy needs no aliases, and a few lines of them can stand for gigabytes.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} is there twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


def load_policy(text: str) -> Policy:
    """The policy that the text says.

    :raises InvalidPolicy: with every problem found
    """
    try:
        data = yaml.load(text, _UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise InvalidPolicy((f"config.yaml is not valid YAML{where}: {error.problem}",)) from None
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError) as error:
        # PyYAML's own constructors stumble over tags such as `!!bool maybe`.
        raise InvalidPolicy((f"config.yaml is not valid YAML: {type(error).__name__}",)) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InvalidPolicy((f"config.yaml must be a mapping of keys such as mode; it is a {type(data).__name__}",))
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        raise InvalidPolicy(tuple(_sentences(error))) from None


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
        context = problem.get("ctx", {}).get("error")
        if problem["type"] == "extra_forbidden":
            known = _keys_at(problem["loc"][:-1])
            yield f"{path}: unknown key{nearest(str(problem['loc'][-1]), known)}"
        elif isinstance(context, Exception):
            yield f"{path}: {context}" if path else str(context)
        else:
            yield f"{path}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the policy knows at a place in it."""
    model: type[BaseModel] = Policy
    for part in location:
        if isinstance(part, int):
            continue
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                found = _model_of(field.annotation)
                if found is not None:
                    model = found
                break
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _model_of(argument):
            return found
    return None
