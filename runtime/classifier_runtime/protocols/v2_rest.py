"""Bodies of V2 over REST: JSON, with tensors as bytes behind it where the binary tensor extension is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

import orjson

from classifier_runtime.errors import InvalidRequest
from classifier_runtime.messages import shown
from classifier_runtime.protocols import v2_binary
from classifier_runtime.protocols.parsing import loads
from classifier_runtime.protocols.v2_types import (
    Input,
    Output,
    Scalar,
    V2Request,
    Wanted,
    check_datatype,
    check_elements,
    check_tensors,
    shape_of,
    wanted,
)

HEADER_LENGTH: Final = "Inference-Header-Content-Length"


def parse(body: bytes, header_length: str | None, most: int) -> V2Request:
    """A request.

    :param header_length: how many bytes of the body are JSON, as `HEADER_LENGTH` says it; None where it says nothing
    :param most: elements of one tensor
    :raises InvalidRequest: what is wrong, and where
    :raises TooLarge: more elements than `most`
    """
    split = len(body) if header_length is None else _split(header_length, len(body))
    try:
        said = loads(memoryview(body)[:split])
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"Unrecognized request format: {error}") from None
    if not isinstance(said, dict):
        raise InvalidRequest("Unrecognized request format: not a JSON object")
    identity = said.get("id")
    if identity is not None and not isinstance(identity, str):
        raise InvalidRequest(f"id: {shown(identity)} is not a text")
    parameters = dict(_parameters(said, ""))
    binary = parameters.pop("binary_data_output", False)
    if not isinstance(binary, bool):
        raise InvalidRequest(f"parameters.binary_data_output: {shown(binary)} is neither true nor false")
    behind = None if header_length is None else memoryview(body)[split:]
    inputs, used = _inputs(said, behind, most)
    if behind is not None and used != len(behind):
        raise InvalidRequest(f"inputs: {used} bytes of binary data are declared, and {len(behind)} came")
    return V2Request(identity or "", parameters, inputs, _outputs(said), binary)


def _split(header_length: str, length: int) -> int:
    size = int(header_length) if header_length.isascii() and header_length.isdigit() and len(header_length) < 12 else -1
    if not 0 < size <= length:
        raise InvalidRequest(f"{HEADER_LENGTH}: {header_length[:20]!r} is no part of a body of {length} bytes")
    return size


def _list(said: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = said.get(key)
    if not isinstance(value, list):
        raise InvalidRequest(f"{where}{key}: missing" if value is None else f"{where}{key}: not a list")
    return value


def _parameters(said: Mapping[str, Any], where: str) -> Mapping[str, Scalar]:
    value = said.get("parameters")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"{where}parameters: not an object")
    for key, one in value.items():
        if one is not None and not isinstance(one, str | int | float):
            raise InvalidRequest(f"{where}parameters.{key}: neither text, number nor true or false")
    return value


def _inputs(said: Mapping[str, Any], behind: memoryview | None, most: int) -> tuple[list[Input], int]:
    """The tensors, and how many bytes behind the JSON they took."""
    inputs = []
    at = 0
    tensors = _list(said, "inputs", "")
    check_tensors(len(tensors), "inputs")
    for number, one in enumerate(tensors):
        where = f"inputs[{number}]"
        if not isinstance(one, dict):
            raise InvalidRequest(f"{where}: not an object")
        name = one.get("name")
        if not isinstance(name, str):
            raise InvalidRequest(f"{where}.name: {'missing' if name is None else 'not a text'}")
        check_datatype(one.get("datatype"), where)
        declared = _list(one, "shape", f"{where}.")
        parameters = dict(_parameters(one, f"{where}."))
        size = parameters.pop("binary_data_size", None)
        elements: Sequence[str | bytes]
        if size is None:
            elements, nested = _flat(_list(one, "data", f"{where}."), where)
            check_elements(len(elements), most, where)
        else:
            data = _blob(size, behind, at, where)
            if one.get("data"):
                raise InvalidRequest(f"{where}: has both data and binary_data_size")
            elements, nested, at = v2_binary.decode(data, most, where), (), at + len(data)
        inputs.append(Input(name, shape_of(declared, len(elements), where, nested), elements, parameters, where))
    return inputs, at


def _blob(size: Scalar, behind: memoryview | None, at: int, where: str) -> memoryview:
    if type(size) is not int or size < 0:
        raise InvalidRequest(f"{where}.parameters.binary_data_size: {shown(size)} is not a number of bytes")
    if behind is None:
        raise InvalidRequest(f"{where}: binary data need the header {HEADER_LENGTH}")
    if at + size > len(behind):
        raise InvalidRequest(f"{where}: binary_data_size is {size}, and {len(behind) - at} bytes are left of the body")
    return behind[at : at + size]


def _flat(data: list[Any], where: str) -> tuple[list[str], tuple[int, ...]]:
    """Elements of JSON, nested or not, and how they were nested."""
    shape = [len(data)]
    while data and isinstance(data[0], list):
        width = len(data[0])
        if not all(isinstance(row, list) and len(row) == width for row in data):
            raise InvalidRequest(f"{where}.data: rows of different lengths")
        shape.append(width)
        data = list(chain.from_iterable(data))
    if set(map(type, data)) - {str}:
        at, other = next((at, one) for at, one in enumerate(data) if not isinstance(one, str))
        raise InvalidRequest(f"{where}.data: element {at} is {_KINDS.get(type(other), 'not a text')}, not a text")
    return data, tuple(shape)


_KINDS: Final = {
    int: "a number", float: "a number", bool: "true or false", dict: "an object", list: "a list", type(None): "null",
}  # fmt: skip


def _outputs(said: Mapping[str, Any]) -> list[Wanted]:
    if said.get("outputs") is None:
        return []
    outputs = []
    tensors = _list(said, "outputs", "")
    check_tensors(len(tensors), "outputs")
    for number, one in enumerate(tensors):
        where = f"outputs[{number}]"
        if not isinstance(one, dict):
            raise InvalidRequest(f"{where}: not an object")
        outputs.append(wanted(one.get("name"), _parameters(one, f"{where}."), where))
    return outputs


def render(head: Mapping[str, Any], outputs: Sequence[Output]) -> tuple[bytes, int | None]:
    """A response's body, and how much of it is JSON where that is not all.

    :param head: what comes before the outputs
    """
    blobs: list[bytes] = []
    tensors = []
    for output in outputs:
        tensor: dict[str, Any] = {"name": output.name, "shape": output.shape, "datatype": output.datatype}
        if output.binary:
            blobs.append(v2_binary.raw(output))
            tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            tensor["data"] = output.data if isinstance(output.data, Sequence) else output.data.ravel()
        tensors.append(tensor)
    json = orjson.dumps({**head, "outputs": tensors}, option=orjson.OPT_SERIALIZE_NUMPY)
    # Named even where there is nothing behind the JSON: clients that asked for bytes look for it.
    return (b"".join((json, *blobs)), len(json)) if blobs else (json, None)
