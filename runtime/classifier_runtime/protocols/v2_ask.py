"""From an inference request to instances, the options in force, and which outputs are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from classifier_runtime.core.job import Instance
from classifier_runtime.core.options import Options, with_options
from classifier_runtime.core.serving import Facts
from classifier_runtime.errors import InvalidRequest
from classifier_runtime.messages import shown
from classifier_runtime.protocols.common import check, image_of
from classifier_runtime.protocols.v2_outputs import implied
from classifier_runtime.protocols.v2_types import Input, Scalar, V2Request, Wanted, check_names

# Options that are lists, which parameters cannot be, come as tensors of their name.
_LISTS: Final = ("candidate_labels", "ignore_labels")
# As MLServer's clients call what a BYTES tensor holds.
_CONTENT_TYPES: Final = {True: ("base64",), False: ("str",)}


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked.

    :param seconds: after which the client wants no answer any more; None where it does not say
    """

    instances: Sequence[Instance]
    options: Options
    outputs: Sequence[Wanted]
    binary: bool
    seconds: float | None


def ask(request: V2Request, base: Options, facts: Facts, model: str) -> Ask:
    """:param base: the options of the server, with those of a query string over them
    :param model: its name, for messages
    :raises InvalidRequest: what is wrong, and where
    """
    parameters = dict(request.parameters)
    content_type = parameters.pop("content_type", None)
    seconds = _seconds(parameters.pop("timeout", None))
    options = with_options(base, parameters)
    rest: dict[str, Input] = {}
    for tensor in request.inputs:
        if tensor.name in rest:
            raise InvalidRequest(f"{tensor.where}: there are two inputs of the name {shown(tensor.name)}")
        rest[tensor.name] = tensor
    for name in _LISTS:
        if name in rest:
            options = with_options(options, {name: _texts(rest.pop(name))}, where="inputs")
    check_names(request.outputs)
    options = implied(options, request.outputs, facts, model)
    check(options, facts)
    return Ask(_instances(rest, options, facts, content_type), options, request.outputs, request.binary, seconds)


def _seconds(timeout: Scalar | None) -> float | None:
    """Of Triton's parameter, which is in microseconds; 0 is none."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise InvalidRequest(f"parameters.timeout: {shown(timeout)} is not a number of microseconds")
    return timeout / 1_000_000 or None


def _instances(
    tensors: Mapping[str, Input], options: Options, facts: Facts, content_type: Scalar | None
) -> list[Instance]:
    if not tensors:
        raise InvalidRequest(f"inputs: none that is {'an image' if facts.images else 'a text'}")
    if tensors.keys() == {"text", "text_pair"} and not facts.images:
        first, second = (_column(tensors[name]) for name in ("text", "text_pair"))
        if len(first) != len(second):
            raise InvalidRequest(
                f"inputs: {len(first)} of text, and {len(second)} of text_pair; pairs have one of each"
            )
        return [Instance(options, text=text, text_pair=pair) for text, pair in zip(first, second, strict=True)]
    if len(tensors) > 1:
        raise InvalidRequest(
            f"inputs: {', '.join(map(shown, list(tensors)[:8]))}: send one tensor; or text and text_pair; "
            f"beside it, {' and '.join(_LISTS)} may be tensors"
        )
    (tensor,) = tensors.values()
    kind = _content_type(tensor, content_type, facts)
    if facts.images:
        return [Instance(options, image=image) for image in _images(tensor, kind)]
    if len(tensor.shape) == 2 and tensor.shape[1] == 2:
        texts = _texts(tensor)
        return [
            Instance(options, text=text, text_pair=pair) for text, pair in zip(texts[::2], texts[1::2], strict=True)
        ]
    return [Instance(options, text=text) for text in _column(tensor)]


def _content_type(tensor: Input, default: Scalar | None, facts: Facts) -> Scalar | None:
    for key in tensor.parameters:
        if key != "content_type":
            raise InvalidRequest(
                f"{tensor.where}.parameters: unknown {shown(key)}; known are content_type, binary_data_size; "
                "options belong into the request's own parameters"
            )
    kind = tensor.parameters.get("content_type", default)
    known = _CONTENT_TYPES[facts.images]
    if kind is not None and kind not in known:
        raise InvalidRequest(f"{tensor.where}.parameters.content_type: {shown(kind)} is none of {', '.join(known)}")
    return kind


def _column(tensor: Input) -> list[str]:
    _one_each(tensor)
    return _texts(tensor)


def _one_each(tensor: Input) -> None:
    """[B], or [B, 1] as clients write it whose servers put a batch's dimension first."""
    shape = tensor.shape
    if len(shape) != 1 and (len(shape) != 2 or shape[1] != 1):
        raise InvalidRequest(f"{tensor.where}.shape: {list(shape)} is neither [B] nor, for pairs of texts, [B, 2]")


def _texts(tensor: Input) -> list[str]:
    texts: list[str] = []
    for element in tensor.elements:
        try:
            texts.append(element if isinstance(element, str) else element.decode())
        except UnicodeDecodeError:
            raise InvalidRequest(f"{tensor.where}: element {len(texts)} is not UTF-8") from None
    return texts


def _images(tensor: Input, kind: Scalar | None) -> list[bytes]:
    _one_each(tensor)
    images: list[bytes] = []
    for place, element in enumerate(tensor.elements):
        where = f"{tensor.where}: element {place}"
        if kind == "base64":
            images.append(image_of(element if isinstance(element, str) else element.decode("ascii", "replace"), where))
        elif isinstance(element, bytes):
            images.append(element)
        else:
            raise InvalidRequest(
                f"{where}: JSON cannot carry an image as it is; send base64 and set parameters.content_type to base64, "
                "or use the binary tensor extension"
            )
    return images
