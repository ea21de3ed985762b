"""A request of the Open Inference Protocol (KServe V2), and the tensors that answer it, whatever carried them.

All inputs of a classifier are texts, images and names, so BYTES is the only datatype that is read; three are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Final, Literal, TypeAlias

from classifier_runtime.core.job import Floats, Ints
from classifier_runtime.errors import InvalidRequest, TooLarge
from classifier_runtime.messages import shown

Scalar: TypeAlias = str | int | float | bool
Datatype: TypeAlias = Literal["BYTES", "FP32", "INT64"]

# kserve/open-inference-protocol, specification/protocol/inference_rest.md, "Tensor Data Types"; BF16 is of gRPC's.
# Another word than these is a mistake of spelling, and told from a datatype that does not fit.
DATATYPES: Final = frozenset(
    "BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 BF16 FP32 FP64 BYTES".split()  # noqa: SIM905
)
# As many as NumPy had for thirty years. The product of a million large numbers would be computed for minutes.
_MOST_DIMENSIONS: Final = 32
# There are fewer inputs and fewer outputs that mean anything.
_MOST_TENSORS: Final = 16


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor of texts, images or names.

    :param shape: as many places as there are elements
    :param elements: row-major; texts where JSON carried them, bytes otherwise
    :param where: the tensor as messages call it
    """

    name: str
    shape: tuple[int, ...]
    elements: Sequence[str | bytes]
    parameters: Mapping[str, Scalar]
    where: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that was asked for by its name.

    :param binary: whether as bytes; None where the request says it for all
    :param classes: this many of the best classes, as texts, instead of the tensor; 0 for the tensor
    """

    name: str
    binary: bool | None = None
    classes: int = 0


@dataclass(frozen=True, slots=True)
class V2Request:
    """What was asked.

    :param id: empty where none was given
    :param outputs: empty for those that the options call for
    :param binary: outputs come as bytes where they do not say for themselves
    """

    id: str
    parameters: Mapping[str, Scalar]
    inputs: Sequence[Input]
    outputs: Sequence[Wanted]
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A tensor of the answer.

    :param data: an array of that shape; or, of BYTES, texts in row-major order
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    data: Floats | Ints | Sequence[str] = field(repr=False)
    binary: bool = False


def shape_of(declared: Sequence[int], elements: int, where: str, nested: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The shape of a tensor, by what was said of it and by what came.

    :param declared: none at all means one dimension, as KServe's own examples have it
    :param nested: of data that were nested lists
    :raises InvalidRequest: the two do not agree
    """
    if not declared:
        return nested or (elements,)
    shape = tuple(declared)
    if len(shape) > _MOST_DIMENSIONS:
        raise InvalidRequest(f"{where}.shape: {len(shape)} dimensions; texts have one, and pairs of texts two")
    if any(type(size) is not int or size < 0 for size in shape):
        raise InvalidRequest(f"{where}.shape: {shown(list(declared))} is not a list of whole numbers from 0")
    if (count := prod(shape)) != elements:
        raise InvalidRequest(f"{where}: shape {shown(list(shape))} has {shown(count)} elements, and {elements} came")
    if len(nested) > 1 and nested != shape:
        raise InvalidRequest(f"{where}: shape is {list(shape)}, and data are nested as {list(nested)}")
    return shape


def check_datatype(datatype: object, where: str) -> None:
    """:raises InvalidRequest: no datatype, or none that a classifier can read"""
    if datatype == "BYTES":
        return
    if isinstance(datatype, str) and datatype in DATATYPES:
        raise InvalidRequest(f"{where}.datatype: {datatype}; texts, images and names are BYTES")
    raise InvalidRequest(f"{where}.datatype: {shown(datatype)} is no datatype; texts, images and names are BYTES")


def wanted(name: object, parameters: Mapping[str, Scalar], where: str) -> Wanted:
    """An output, by its name and by parameters of the binary and the classification extension.

    :raises InvalidRequest: what is wrong with them
    """
    if not isinstance(name, str) or not name:
        raise InvalidRequest(f"{where}.name: {shown(name)} is not a name")
    binary: bool | None = None
    classes = 0
    for key, value in parameters.items():
        if key == "binary_data":
            if not isinstance(value, bool):
                raise InvalidRequest(f"{where}.parameters.binary_data: {shown(value)} is neither true nor false")
            binary = value
        elif key == "classification":
            if type(value) is not int or value < 0:
                raise InvalidRequest(f"{where}.parameters.classification: {shown(value)} is not a number of classes")
            classes = value
        else:
            raise InvalidRequest(f"{where}.parameters: unknown {shown(key)}; known are binary_data, classification")
    return Wanted(name, binary, classes)


def check_names(outputs: Sequence[Wanted]) -> None:
    """A million times the same output would be a small request, and a huge answer.

    :raises InvalidRequest: one is asked for twice
    """
    seen: set[str] = set()
    for number, one in enumerate(outputs):
        if one.name in seen:
            raise InvalidRequest(f"outputs[{number}].name: {shown(one.name)} is asked for twice")
        seen.add(one.name)


def check_tensors(count: int, where: str) -> None:
    """:raises InvalidRequest: more inputs, or outputs, than mean anything"""
    if count > _MOST_TENSORS:
        raise InvalidRequest(f"{where}: {count} tensors; all texts or images are one")


def check_elements(count: int, most: int, where: str) -> None:
    """:raises TooLarge: a tensor has more elements than a request may have, found before anything is made of them"""
    if count > most:
        raise TooLarge(f"{where}: more than {most} elements; send fewer, or raise --max_instances")
