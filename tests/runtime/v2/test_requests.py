"""What a body may be, and what a wrong one is told: pure, with all that hypothesis thinks of."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from classifier_runtime.errors import InvalidRequest
from classifier_runtime.protocols import v2_binary, v2_ragged
from classifier_runtime.protocols.v2_rest import parse, render
from classifier_runtime.protocols.v2_text import as_dicts
from classifier_runtime.protocols.v2_types import DATATYPES, Output
from tests.runtime.v2.conftest import binary, tensor

MOST = 99
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "shape", "data", "parameters", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def blob(texts: list[str]) -> bytes:
    """As the specification says it, element for element."""
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)


@given(TEXTS)
def test_bytes_are_written_as_the_specification_says_and_read_back(texts: list[str]) -> None:
    written = v2_binary.encode([text.encode() for text in texts])
    assert written == blob(texts)
    assert [one.decode() for one in v2_binary.decode(written, MOST, "")] == texts


@given(TEXTS, st.integers(0, 40))
def test_bytes_that_are_cut_are_refused_or_whole_elements(texts: list[str], kept: int) -> None:
    whole = blob(texts)
    try:
        found = v2_binary.decode(whole[:kept], MOST, "inputs[0]")
    except InvalidRequest as error:
        assert str(error).startswith("inputs[0]")  # noqa: PT017 - either is right
    else:
        assert whole.startswith(v2_binary.encode(found))
        assert len(v2_binary.encode(found)) == min(kept, len(whole))


@given(TEXTS, TEXTS)
def test_json_and_bytes_say_the_same(first: list[str], second: list[str]) -> None:
    names = {**tensor(*second), "name": "candidate_labels"}
    said = parse(orjson.dumps({"inputs": [tensor(*first), names]}), None, MOST)
    sizes = [{"binary_data_size": len(blob(texts))} for texts in (first, second)]
    heads = [
        {"name": one.name, "shape": list(one.shape), "datatype": "BYTES", "parameters": size}
        for one, size in zip(said.inputs, sizes, strict=True)
    ]
    body, headers = binary({"inputs": heads}, blob(first), blob(second))
    sent = parse(body, headers["Inference-Header-Content-Length"], MOST)
    for plain, packed in zip(said.inputs, sent.inputs, strict=True):
        assert [one.encode() for one in plain.elements if isinstance(one, str)] == list(packed.elements)
        assert (plain.name, plain.shape) == (packed.name, packed.shape)


@given(JSON, st.none() | st.sampled_from(["0", "1", "2", "5", "-1", "x", "", "9" * 20, "²"]))
def test_any_json_is_a_request_or_an_invalid_one(said: Any, header: str | None) -> None:
    for body in (said, {"inputs": said}, {"inputs": [said]}, {"inputs": [{**tensor("a"), "data": said}]}):
        try:
            parse(orjson.dumps(body), header, MOST)
        except InvalidRequest as error:
            assert str(error)  # noqa: PT017 - either is right


@given(st.binary(max_size=200), st.none() | st.integers(-1, 210).map(str))
def test_any_bytes_are_a_request_or_an_invalid_one(body: bytes, header: str | None) -> None:
    with pytest.raises(InvalidRequest):
        parse(body, header, MOST)


@given(st.lists(st.lists(st.text("ab", max_size=2), min_size=2, max_size=2), max_size=4))
def test_nested_and_flat_data_are_the_same(rows: list[list[str]]) -> None:
    shape = [len(rows), 2] if rows else [0, 2]
    flat = [text for row in rows for text in row]
    nested = parse(orjson.dumps({"inputs": [{**tensor(*rows), "shape": shape}]}), None, MOST).inputs[0]
    plain = parse(orjson.dumps({"inputs": [{**tensor(*flat), "shape": shape}]}), None, MOST).inputs[0]
    assert (nested.shape, nested.elements) == (plain.shape, plain.elements) == (tuple(shape), flat)


@given(st.lists(st.integers(0, 4), max_size=3), st.integers(0, 9))
def test_a_shape_has_as_many_places_as_there_are_elements(shape: list[int], count: int) -> None:
    body = orjson.dumps({"inputs": [{**tensor(*["a"] * count), "shape": shape}]})
    if shape and math.prod(shape) != count:
        with pytest.raises(InvalidRequest, match=f"and {count} came"):
            parse(body, None, MOST)
    else:
        assert parse(body, None, MOST).inputs[0].shape == (tuple(shape) or (count,))


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=6),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6),
    TEXTS,
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_what_is_rendered_reads_back(
    floats: list[float], whole: list[int], texts: list[str], packed: tuple[bool, bool, bool]
) -> None:
    outputs = [
        Output("f", "FP32", (len(floats),), np.array(floats, np.float32), packed[0]),
        Output("i", "INT64", (len(whole), 1), np.array(whole, np.int64).reshape(-1, 1), packed[1]),
        Output("t", "BYTES", (len(texts),), texts, packed[2]),
    ]
    body, split = render({"model_name": "m", "id": "1"}, outputs)
    assert (split is not None) == any(packed)
    said = orjson.loads(body[:split])
    assert list(said) == ["model_name", "id", "outputs"]
    rest = body[len(body) if split is None else split :]
    found = []
    for one in said["outputs"]:
        if "data" in one:
            found.append(one["data"])
            continue
        size = one["parameters"]["binary_data_size"]
        raw, rest = rest[:size], rest[size:]
        kinds = {"FP32": "<f4", "INT64": "<i8"}
        found.append(
            [text.decode() for text in v2_binary.decode(raw, MOST, "")]
            if one["datatype"] == "BYTES"
            else np.frombuffer(raw, kinds[one["datatype"]]).tolist()
        )
    assert rest == b""
    assert found == [pytest.approx(floats, rel=1e-6), whole, texts]


@given(st.lists(st.lists(st.integers(0, 99), max_size=4), max_size=5))
def test_rows_are_padded_to_the_widest(rows: list[list[int]]) -> None:
    widest = max(map(len, rows), default=0)
    expected = [row + [-1] * (widest - len(row)) for row in rows]
    assert v2_ragged.numbers(rows, -1, np.int64).tolist() == expected
    arrays = [np.array(row, np.int64) for row in rows]
    assert v2_ragged.arrays(arrays, -1, np.empty(0, np.int64)).tolist() == expected
    texts, shape = v2_ragged.texts([list(map(str, row)) for row in rows], "-1")
    assert texts == [str(number) for row in expected for number in row]
    assert shape == (len(rows), widest)


@pytest.mark.parametrize("datatype", [*sorted(DATATYPES - {"BYTES"}), "BYTE", None, 7, ["BYTES"]])
def test_another_datatype_than_bytes_is_refused(datatype: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"inputs\[0\]\.datatype: .*BYTES"):
        parse(orjson.dumps({"inputs": [{**tensor("a"), "datatype": datatype}]}), None, MOST)


@given(
    arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(1, 5)), elements=st.floats(-0.25, 1.25, width=32)),
    st.booleans(),
)
def test_texts_of_numbers_are_as_python_writes_them(rows: Any, rounded: bool) -> None:
    def number(value: float) -> float:
        return float(f"{value:.4f}") + 0.0 if rounded else value

    expected = [str({place: number(value) for place, value in enumerate(row)}) for row in rows.tolist()]
    assert [text.replace("-0.0,", "0.0,").replace("-0.0}", "0.0}") for text in as_dicts(rows, rounded=rounded)] == [
        text.replace("-0.0,", "0.0,").replace("-0.0}", "0.0}") for text in expected
    ]
