"""`--model FILE`: what may be written, and what is told of slips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.cli.exits import BadInput
from pullsizer.cli.models import GivenModel, GivenModels, load_models, written
from pullsizer.model import ARCHIVES, BASES, Failure, ModelFacts, Source
from pullsizer.quantity import MOST_BYTES

GIGA = 1_000_000_000


def loaded(folder: Path, value: Any) -> GivenModels:
    path = folder / "model.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return load_models([str(path)])


def facts(model: dict[str, Any]) -> ModelFacts:
    found = GivenModel.model_validate(model).knowledge()
    assert isinstance(found, ModelFacts)
    return found


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"bytes": 7}, (7, 1, 7)),
        ({"bytes": 0}, (0, 0, 0)),
        ({"size": "59G"}, (59 * GIGA, 6, 10 * GIGA)),
        ({"bytes": "59Gi", "files": 2}, (59 << 30, 2, 59 << 29)),
        ({"bytes": "59G", "files": 28}, (59 * GIGA, 28, 10 * GIGA)),
        ({"bytes": "59G", "largest": "5G"}, (59 * GIGA, 12, 5 * GIGA)),
    ],
)
def test_what_is_not_given_is_taken_as_shards_come(model: dict[str, Any], expected: tuple[int, int, int]) -> None:
    found = facts(model)
    assert (found.bytes, found.files, found.largest) == expected


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "is empty"),
        ([3], "model 1: not a mapping"),
        ({"files": 3}, "model 1: bytes: is missing"),
        ({"bytes": "59gigs"}, "model 1: bytes: '59gigs'"),
        ({"bytes": True}, "bytes: True is not a size"),
        ({"bytes": 1.5}, "bytes: 1.5 is not a size"),
        ({"bytes": 5, "largest": 6}, "largest: a file of 6 B is larger than the whole of 5 B"),
        ({"bytes": 5, "files": 2, "largest": 2}, "files: 2 of at most 2 B are less than the whole of 5 B"),
        ({"bytes": "9E"}, "bytes: '9E' is more than 1125.9 TB"),
        ({"bytes": 5, "unpacked": "2Pi"}, "unpacked: '2Pi' is more than"),
        ({"bytes": 5, "files": 99999999999}, "files: "),
        ({"bytes": "1Pi", "largest": 1}, "largest: of files of at most 1 B"),
        ({"bytes": 5, "larest": 6}, "larest: unknown key; did you mean 'largest'?"),
        ({"bytes": 5, "archive": "rar"}, "archive"),
        ({"bytes": 5, "failure": {"reason": "NotFound", "message": "no"}}, "leave one of the two out"),
        ([{"bytes": 1}, {"byte": 1}], "model 2: byte: unknown key; did you mean 'bytes'?"),
    ],
)
def test_a_slip_is_named_with_its_place(tmp_path: Path, value: Any, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        loaded(tmp_path, value)
    assert says in str(caught.value)


def test_every_slip_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        loaded(tmp_path, [{"bytes": "x"}, {"bytes": 1, "files": -1, "more": 2}])
    assert len(str(caught.value).splitlines()) == 3


def test_facts_are_of_a_uri_with_its_filters_or_of_whatever_is_pulled(tmp_path: Path) -> None:
    models = loaded(
        tmp_path,
        [{"uri": "hf://a/b", "bytes": 1}, {"uri": "hf://a/b", "allow": ["*.json"], "bytes": 2}],
    )

    def size(source: Source, among: GivenModels = models) -> int | None:
        found = among.find(source)
        return found.bytes if isinstance(found, ModelFacts) else None

    assert size(Source("hf://a/b")) == 1
    assert size(Source("hf://a/b", allow=("*.json",))) == 2
    assert size(Source("hf://a/b", ignore=("*.bin",))) is None
    assert size(Source("hf://a/c")) is None
    assert size(Source("hf://a/c", allow=("x",)), loaded(tmp_path, {"bytes": 3})) == 3
    assert loaded(tmp_path, []).find(Source("hf://a/b")) is None


AMOUNT = st.integers(0, MOST_BYTES)
KNOWLEDGE = st.one_of(
    st.builds(
        lambda largest, files, **more: ModelFacts(largest * files, files, largest, **more),
        st.integers(0, MOST_BYTES // 5000),
        st.integers(1, 5000),
        archive=st.sampled_from(ARCHIVES),
        unpacked=AMOUNT,
        revision=st.text(max_size=9),
        etag=st.text(max_size=9),
        basis=st.sampled_from(BASES),
    ),
    st.builds(Failure, st.text(max_size=9), st.text(max_size=9), st.floats(0, 1e6)),
)
PATTERNS = st.lists(st.text(max_size=5), max_size=3).map(tuple)


@given(KNOWLEDGE, PATTERNS, PATTERNS)
def test_what_is_written_is_read_again(
    knowledge: ModelFacts | Failure, allow: tuple[str, ...], ignore: tuple[str, ...]
) -> None:
    source = Source("hf://team/model", allow, ignore)
    text = json.dumps(written(source, knowledge))
    assert GivenModels((GivenModel.model_validate_json(text),)).find(source) == knowledge
