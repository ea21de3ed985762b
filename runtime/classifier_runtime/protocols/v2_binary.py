"""Tensors as bytes: the binary tensor extension over REST, raw contents over gRPC.

Elements of BYTES are each preceded by their length, four bytes, the lowest first; numbers are little-endian. Thousands
of elements are common, so what can be done for all at once is.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from classifier_runtime.errors import InvalidRequest
from classifier_runtime.protocols.v2_types import Output, check_elements

_LENGTH = struct.Struct("<I")


def decode(data: memoryview | bytes, most: int, where: str) -> list[bytes]:
    """Elements of a BYTES tensor.

    :raises InvalidRequest: it ends within an element
    :raises TooLarge: more than `most`
    """
    raw = bytes(data)
    end = len(raw)
    elements: list[bytes] = []
    at = 0
    read = _LENGTH.unpack_from
    while at < end:
        if at + 4 > end:
            raise InvalidRequest(f"{where}: the binary data end within the length of element {len(elements)}")
        begin = at + 4
        at = begin + read(raw, at)[0]
        if at > end:
            raise InvalidRequest(
                f"{where}: element {len(elements)} has {at - begin} bytes, and the binary data end after {end - begin}"
            )
        elements.append(raw[begin:at])
        if len(elements) > most:
            check_elements(len(elements), most, where)
    return elements


def encode(elements: Sequence[bytes]) -> bytes:
    """A BYTES tensor of elements."""
    count = len(elements)
    lengths = struct.pack(f"<{count}I", *map(len, elements))
    parts: list[bytes] = [b""] * (2 * count)
    parts[::2] = [length for (length,) in struct.iter_unpack("4s", lengths)]
    parts[1::2] = elements
    return b"".join(parts)


def raw(output: Output) -> bytes:
    """An output as bytes."""
    if isinstance(output.data, np.ndarray):
        # The bytes of the machine's own order are those wanted, on all machines that torch runs on; astype copies else.
        return output.data.astype(output.data.dtype.newbyteorder("<"), copy=False).tobytes()
    return encode([text.encode() for text in output.data])
