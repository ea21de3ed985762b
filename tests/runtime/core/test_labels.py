"""Names of classes, whatever the model's configuration makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier_runtime.core.labels import labels_of


@pytest.mark.parametrize(
    ("written", "names", "verdict"),
    [
        ({"0": "NEG", "1": "POS"}, ("NEG", "POS"), "named"),
        ({0: "NEG", 1: "POS"}, ("NEG", "POS"), "named"),
        ({"1": "POS", "0": "NEG"}, ("NEG", "POS"), "named"),
        ({"0": "LABEL_0", "1": "LABEL_1"}, ("LABEL_0", "LABEL_1"), "default"),
        ({"1": "A", "2": "B"}, ("LABEL_0", "A"), "partial"),
        ({"0": "A"}, ("A", "LABEL_1"), "partial"),
        ({"0": "same", "1": "same"}, ("same", "same"), "named"),
        ({"0": 0, "1": 1}, ("0", "1"), "named"),
        ({"0": "5 stars", "1": '\u0634\u0643 🙂 a|b:c "d"'}, ("5 stars", '\u0634\u0643 🙂 a|b:c "d"'), "named"),
        ({"0": None, "1": "B"}, ("LABEL_0", "B"), "partial"),
        ({"0": "", "1": " \n"}, ("", " \n"), "named"),
        ({"0": "a\ud800", "1": "B"}, ("a?", "B"), "named"),
        ({"9" * 5000: "A", "1": "B"}, ("LABEL_0", "LABEL_1"), "invalid"),
        ({"-1": "A", "1": "B"}, ("LABEL_0", "B"), "partial"),
        (None, ("LABEL_0", "LABEL_1"), "absent"),
        (["NEG", "POS"], ("LABEL_0", "LABEL_1"), "invalid"),
        ({"negative": "NEG"}, ("LABEL_0", "LABEL_1"), "invalid"),
        ({}, ("LABEL_0", "LABEL_1"), "partial"),
        ({"0": "A", "1": "B", "2": "C"}, ("A", "B"), "named"),
    ],
)
def test_each_class_has_a_name_and_the_map_a_verdict(written: Any, names: tuple[str, ...], verdict: str) -> None:
    found = labels_of({"id2label": written}, 2)
    assert (found.names, found.verdict) == (names, verdict)


@given(st.dictionaries(st.integers() | st.text(), st.text() | st.integers() | st.none()), st.integers(1, 50))
def test_there_are_as_many_names_as_classes(written: dict[Any, Any], classes: int) -> None:
    assert len(labels_of({"id2label": written}, classes)) == classes
