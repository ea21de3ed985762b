"""The policy's part of deploy/chart/values.schema.json, from the policy's own model and docs/policy.md.

What pydantic itself would write is no help: it knows quantities as whole numbers, which is what they become, and not as
people write them.
"""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pullsizer.policy import Policy, fields

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "policy.md"

Schema = dict[str, Any]

WRITTEN: Final[dict[Any, Schema]] = {
    fields.Cpu: {"type": ["string", "number"], "pattern": r"^[0-9]*\.?[0-9]+m?$"},
    # No number: Helm would print 4294967296 as 4.294967296e+09.
    fields.Bytes: {"type": "string", "pattern": r"^[0-9]*\.?[0-9]+([KMGTPE]i|[kMGTPE])$"},
    fields.BitsPerSecond: {"type": "string", "pattern": r"^[0-9]*\.?[0-9]+[kMGT]$"},
    fields.Seconds: {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"},
    fields.Endpoint: {"type": "string", "pattern": "^https?://"},
    fields.Network: {"type": "string", "pattern": r"^[0-9a-fA-F.:]+(/[0-9]+)?$"},
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
}
"""How people write each kind of value.

Helm shows the pattern to whoever errs, so it is one that can be read: quantities of bytes have a unit, and none has an
exponent, though the policy would take both. What is wrong in other ways, such as a limit below its request, the policy
says in words.
"""


def policy_schema() -> Schema:
    """An object that has every key of the policy and no other."""
    return _model(Policy, "", _descriptions())


def _descriptions() -> dict[str, str]:
    """What the reference says of each key, as plain text."""
    found = {}
    for key, default, meaning in re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*) \|$", REFERENCE.read_text(), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", meaning).replace("`", "")
        found[key] = plain if default == "\N{EN DASH}" else f"{plain} Default: {default.replace('`', '')}"
    return found


def _model(model: type[BaseModel], path: str, descriptions: dict[str, str]) -> Schema:
    hints = get_type_hints(model, include_extras=True)
    properties = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        described = {"description": descriptions[path + key]} if path + key in descriptions else {}
        properties[key] = described | _value(hints[name], path + key, descriptions) | _bounds(field)
    required = [field.alias or name for name, field in model.model_fields.items() if field.is_required()]
    schema: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema | ({"required": required} if required else {})


def _value(hint: Any, path: str, descriptions: dict[str, str]) -> Schema:
    if hint in WRITTEN:
        return dict(WRITTEN[hint])
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (hint,) = (argument for argument in arguments if argument is not types.NoneType)
        return _value(hint, path, descriptions)
    if origin is Annotated:
        return _value(arguments[0], path, descriptions)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0], f"{path}[]", descriptions)}
    if hint == dict[str, str]:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _model(hint, f"{path}.", descriptions)
    raise TypeError(f"{path}: how do people write a {hint}? Add it to WRITTEN in {Path(__file__).name}")


def _bounds(field: FieldInfo) -> Schema:
    least = [bound.ge for bound in field.metadata if isinstance(bound, Ge)]
    return {"minimum": least[0]} if least else {}
