"""Messages of gRPC to requests, and answers to messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from classifier_runtime.errors import InvalidRequest
from classifier_runtime.protocols import inference_pb2 as pb
from classifier_runtime.protocols import v2_binary
from classifier_runtime.protocols.v2_infer import V2Answer
from classifier_runtime.protocols.v2_types import (
    Input,
    Output,
    Scalar,
    V2Request,
    check_datatype,
    check_elements,
    check_tensors,
    shape_of,
    wanted,
)


def request_of(message: pb.ModelInferRequest, most: int) -> V2Request:
    """Who sends raw contents gets raw ones.

    :param most: elements of one tensor
    :raises InvalidRequest: what is wrong, and where
    :raises TooLarge: more elements than `most`
    """
    check_tensors(len(message.inputs), "inputs")
    check_tensors(len(message.outputs), "outputs")
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidRequest(
            f"the number of inputs ({len(message.inputs)}) does not match the expected number of raw input contents "
            f"({len(raw)}) for model '{message.model_name}'."
        )
    inputs = [
        _input(tensor, raw[number] if raw else None, most, f"inputs[{number}]")
        for number, tensor in enumerate(message.inputs)
    ]
    outputs = [
        wanted(one.name, _scalars(one.parameters), f"outputs[{number}]") for number, one in enumerate(message.outputs)
    ]
    parameters = _scalars(message.parameters)
    parameters.pop("binary_data_output", None)
    return V2Request(message.id, parameters, inputs, outputs, binary=bool(raw))


def _input(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes | None, most: int, where: str) -> Input:
    check_datatype(tensor.datatype, where)
    elements: Sequence[str | bytes]
    if raw is None:
        check_elements(len(tensor.contents.bytes_contents), most, where)
        elements = list(tensor.contents.bytes_contents)
    elif tensor.HasField("contents"):
        raise InvalidRequest(f"{where}: contents must not be specified beside raw_input_contents")
    else:
        elements = v2_binary.decode(raw, most, where)
    parameters = _scalars(tensor.parameters)
    # REST's, which KServe's client sends here too.
    parameters.pop("binary_data_size", None)
    return Input(tensor.name, shape_of(list(tensor.shape), len(elements), where), elements, parameters, where)


def _scalars(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for key, value in parameters.items():
        kind = value.WhichOneof("parameter_choice")
        if kind is None:
            raise InvalidRequest(f"parameters.{key}: has no value of a kind that is known")
        found[key] = getattr(value, kind)
    return found


def response_of(answer: V2Answer, name: str, version: str) -> pb.ModelInferResponse:
    """:param version: as the request had it"""
    raw = any(output.binary for output in answer.outputs)
    return pb.ModelInferResponse(
        model_name=name,
        model_version=version,
        id=answer.id,
        parameters={key: _parameter(value) for key, value in answer.parameters.items()},
        outputs=[
            pb.ModelInferResponse.InferOutputTensor(
                name=output.name,
                datatype=output.datatype,
                shape=output.shape,
                contents=None if raw else _contents(output),
            )
            for output in answer.outputs
        ],
        raw_output_contents=[v2_binary.raw(output) for output in answer.outputs] if raw else (),
    )


def _parameter(value: Scalar) -> pb.InferParameter:
    if isinstance(value, bool):
        return pb.InferParameter(bool_param=value)
    if isinstance(value, int):
        return pb.InferParameter(int64_param=value)
    if isinstance(value, float):
        return pb.InferParameter(double_param=value)
    return pb.InferParameter(string_param=value)


def _contents(output: Output) -> pb.InferTensorContents:
    data: Any = output.data
    if output.datatype == "BYTES":
        return pb.InferTensorContents(bytes_contents=[text.encode() for text in data])
    flat = data.ravel().tolist()
    if output.datatype == "INT64":
        return pb.InferTensorContents(int64_contents=flat)
    return pb.InferTensorContents(fp32_contents=flat)
