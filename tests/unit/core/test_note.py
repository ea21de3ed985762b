"""The note on the pod of what was done and why: short, for people, and never trusted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer import __version__
from pullsizer.admission.note import MAXIMUM, already_sized, entry, read, render
from pullsizer.names import SIZING
from pullsizer.pod import Resources
from pullsizer.quantity import GI, MI
from pullsizer.sizing import Decision

Json = dict[str, Any]
BEFORE = Resources({"cpu": 100, "memory": 100 * MI}, {"cpu": 1000, "memory": GI})
AFTER = Resources({"cpu": 500, "memory": GI}, {"cpu": 1000, "memory": 2 * GI})
DECISION = Decision(AFTER, {}, "model", ("a reason", "another"))
CONTAINER = {"resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": "1", "memory": "2Gi"}}}


def noted(text: str) -> Json:
    return {"metadata": {"annotations": {SIZING: text}}}


def test_a_note_says_from_what_to_what_on_which_basis_and_why() -> None:
    assert entry(BEFORE, DECISION, "hash") == {
        "from": {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        "to": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
        "basis": "model",
        "why": ["a reason", "another"],
        "inputs": "hash",
    }


def test_of_a_container_that_was_left_alone_it_says_so() -> None:
    note = entry(BEFORE, Decision(None, {}, "model", ("left alone: …",)), "hash")
    assert note["to"] == note["from"]


def test_what_is_rendered_is_read_again() -> None:
    entries = {"storage-initializer": entry(BEFORE, DECISION, "hash")}
    text = render(entries)
    assert json.loads(text)["version"] == __version__
    assert read(noted(text)) == entries


def test_a_note_is_compact() -> None:
    assert ": " not in render({"c": entry(BEFORE, DECISION, "hash")})


REASON = st.text(max_size=400) | st.just("ü" * 240) | st.just("€" * 400)
ENTRY = st.builds(
    lambda reasons: entry(BEFORE, Decision(AFTER, {}, "model", tuple(reasons)), "0" * 16), st.lists(REASON, max_size=20)
)


@given(st.dictionaries(st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True), ENTRY, max_size=12))
def test_a_note_never_takes_more_than_two_kibibytes(entries: dict[str, Json]) -> None:
    text = render(entries)
    assert len(text.encode()) <= MAXIMUM
    kept = json.loads(text)["containers"]
    for name, item in kept.items():
        assert item["why"] == entries[name]["why"][: len(item["why"])]


def test_where_there_is_no_room_the_last_reasons_go_first_and_no_container() -> None:
    many = tuple(f"{number} " + "x" * 200 for number in range(20))
    kept = json.loads(render({"c": entry(BEFORE, Decision(AFTER, {}, "model", many), "h")}))["containers"]["c"]["why"]
    assert 5 <= len(kept) < 20
    assert kept == list(many[: len(kept)])


def test_rendering_changes_nothing_of_what_was_given() -> None:
    item = entry(BEFORE, Decision(AFTER, {}, "model", ("x" * 240,) * 20), "h")
    render({"c": item})
    assert len(item["why"]) == 20


def test_a_long_reason_is_cut_with_a_mark() -> None:
    (reason,) = entry(BEFORE, Decision(AFTER, {}, "model", ("x" * 500,)), "h")["why"]
    assert len(reason) == 240
    assert reason.endswith("…")


GOOD = entry(BEFORE, DECISION, "hash")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "7",
        "[]",
        "{}",
        '{"containers": null}',
        '{"containers": []}',
        '{"containers": {"c": null}}',
        '{"containers": {"c": "sized already"}}',
        '{"containers": {"c": {}}}',
        json.dumps({"containers": {"c": {**GOOD, "why": "a reason"}}}),
        json.dumps({"containers": {"c": {**GOOD, "why": [7]}}}),
        json.dumps({"containers": {"c": {**GOOD, "more": "x"}}}),
        json.dumps({"containers": {"c": {key: value for key, value in GOOD.items() if key != "inputs"}}}),
        json.dumps({"containers": {"c": GOOD}}) + " " * 5000,
    ],
)
def test_a_note_that_we_cannot_have_written_is_none(text: str) -> None:
    assert read(noted(text)) == {}
    assert not already_sized(noted(text), "c", CONTAINER, "hash")


def test_beside_a_forged_note_a_good_one_is_read() -> None:
    assert read(noted(json.dumps({"containers": {"a": "x", "c": GOOD}}))) == {"c": GOOD}


def test_a_container_is_sized_already_when_it_has_what_was_noted_from_the_same_inputs() -> None:
    pod = noted(render({"c": GOOD}))
    assert already_sized(pod, "c", CONTAINER, "hash")
    assert not already_sized(pod, "c", CONTAINER, "other hash")
    assert not already_sized(pod, "d", CONTAINER, "hash")
    assert not already_sized(pod, "c", {"resources": {"limits": {"memory": "2Gi"}}}, "hash")
    assert not already_sized(pod, "c", {}, "hash")
    assert not already_sized({}, "c", CONTAINER, "hash")


@pytest.mark.parametrize("to", [None, "x", 7, [], {"limits": {"memory": "lots"}}, {"limits": "x"}, {"requests": [1]}])
def test_a_note_with_no_resources_in_it_sizes_nothing(to: object) -> None:
    pod = noted(json.dumps({"containers": {"c": {**GOOD, "to": to}}}))
    assert not already_sized(pod, "c", CONTAINER, "hash")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["containers", "c", "to", "from", "why", "basis", "inputs"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_a_person_wrote_there_reading_and_rendering_never_fail(value: object) -> None:
    pod = noted(json.dumps(value))
    assert len(render({**read(pod), "c": GOOD})) <= MAXIMUM
    already_sized(pod, "c", CONTAINER, "hash")
