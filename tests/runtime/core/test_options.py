"""What may be asked for: read strictly, each later word over the one before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier_runtime.core.options import ALIASES, DEFAULT, NAMES, Options, with_options
from classifier_runtime.errors import InvalidRequest


def test_a_later_word_wins_and_the_rest_stays() -> None:
    server = with_options(DEFAULT, {"id2label": True, "top_k": 3})
    request = with_options(server, {"top_k": 1})
    assert (request.id2label, request.top_k) == (True, 1)


@pytest.mark.parametrize("alias", ["use_id2label", "return_labels"])
def test_labels_are_asked_for_by_any_of_their_names(alias: str) -> None:
    assert with_options(DEFAULT, {alias: "true"}).id2label


@pytest.mark.parametrize(
    ("said", "name", "value"),
    [
        ({"id2label": "1"}, "id2label", True),
        ({"id2label": "False"}, "id2label", False),
        ({"top_k": "5"}, "top_k", 5),
        ({"top_k": 5.0}, "top_k", 5),
        ({"top_k": None}, "top_k", 0),
        ({"threshold": "0.5"}, "threshold", 0.5),
        ({"threshold": None}, "threshold", None),
        ({"candidate_labels": "a, b"}, "candidate_labels", ("a", "b")),
        ({"candidateLabels": ["a, b"]}, "candidate_labels", ("a, b",)),
        ({"ignore_labels": []}, "ignore_labels", ()),
        ({"function_to_apply": "none"}, "function_to_apply", "none"),
        ({"stride": 0}, "stride", 0),
    ],
)
def test_values_are_read_as_each_protocol_can_write_them(said: dict[str, Any], name: str, value: object) -> None:
    assert getattr(with_options(DEFAULT, said), name) == value


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"topk": 1}, "did you mean 'top_k'"),
        ({"zzzz": 1}, "known are id2label"),
        ({"top_k": 0}, "parameters.top_k: 0 is not 1 or more; write null for all"),
        ({"top_k": True}, "is not a whole number"),
        ({"top_k": 1.5}, "is not a whole number"),
        ({"id2label": "maybe"}, "neither true nor false"),
        ({"id2label": 1}, "neither true nor false"),
        ({"threshold": "x"}, "is not a number"),
        ({"threshold": float("nan")}, "is not a number"),
        ({"threshold": True}, "is not a number"),
        ({"function_to_apply": "relu"}, "is none of softmax, sigmoid, none"),
        ({"candidate_labels": []}, "name one candidate at least"),
        ({"candidate_labels": [1]}, "is not a list of texts"),
        ({"hypothesis_template": "This is."}, "has not one {} for the candidate"),
        ({"stride": -1}, "is below 0"),
        ({"ignore_labels": 5}, "is not a list of texts"),
    ],
)
def test_what_is_wrong_is_refused_with_the_key_and_the_remedy(said: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words.replace("{", r"\{").replace("}", r"\}")):
        with_options(DEFAULT, said)


@pytest.mark.parametrize(
    "said", [{"aggregation_strategy": "simple"}, {"top_k": 1}, {"top_k": None}, {"threshold": 0.0}]
)
def test_what_makes_no_sense_without_labels_asks_for_them(said: dict[str, Any]) -> None:
    assert with_options(DEFAULT, said).enhanced


@pytest.mark.parametrize("said", [{}, {"threshold": None}, {"return_probabilities": True}, {"multi_label": True}])
def test_what_makes_sense_of_ids_does_not(said: dict[str, Any]) -> None:
    assert not with_options(DEFAULT, said).enhanced


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*NAMES, *ALIASES, "other"]), JSON, max_size=4))
def test_whatever_is_said_is_options_or_a_refusal(said: dict[str, Any]) -> None:
    try:
        found = with_options(DEFAULT, said)
    except InvalidRequest:
        return
    assert isinstance(found, Options)
