"""Models that are made here: what they are trained on and judged by, and that each is made once and whole."""

from __future__ import annotations

import csv
import io
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controlplane import cache
from tests.models import batches, reviews, store
from tests.models.recipes import RECIPES, NotMadeError, Recipe

WORTHLESS = Recipe("worthless", "one that means nothing", "reviews", (), ("numpy",), "no time", 0.8)


@given(st.lists(st.builds(reviews.Review, st.sampled_from("abcdefgh"), st.integers(0, 1))), st.integers(0, 5))
def test_no_held_out_text_was_trained_on_and_no_review_is_lost_but_for_that(
    found: list[reviews.Review], held_out: int
) -> None:
    parts = reviews.split(found, held_out)

    known = {review.text for review in parts.training}
    assert known.isdisjoint(review.text for review in parts.held_out)
    lost = Counter(found) - Counter(parts.training) - Counter(parts.held_out)
    assert all(review.text in known for review in lost)
    assert len(parts.training) == max(0, len(found) - held_out)


def test_the_parts_are_the_same_each_time() -> None:
    found = [reviews.Review(str(number), number % 2) for number in range(100)]

    assert reviews.split(found, 10) == reviews.split(found, 10)


def test_of_the_reviews_the_sentences_are_read_whatever_is_in_them() -> None:
    file = io.StringIO(newline="")
    rows = [('a "fine", long\nfilm', "1", reviews.SOURCE), ("bad", "0", reviews.SOURCE), ("a whole page", "1", "imdb")]
    csv.writer(file).writerows([("text", "label", "source"), *rows])
    file.seek(0)

    assert reviews.read(file) == [reviews.Review('a "fine", long\nfilm', 1), reviews.Review("bad", 0)]


@given(st.lists(st.integers(1, 99)), st.integers(1, 9))
def test_every_row_is_in_one_batch_and_rows_of_a_batch_are_next_to_each_other_in_length(
    lengths: list[int], size: int
) -> None:
    made = batches.by_length(lengths, size)

    assert sorted(place for batch in made for place in batch) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in made[:-1])
    assert [lengths[place] for batch in made for place in batch] == sorted(lengths)


@given(st.lists(st.lists(st.integers(1, 9)), min_size=1))
def test_padded_rows_are_as_long_as_the_longest_and_begin_as_before(rows: list[list[int]]) -> None:
    longest = max(map(len, rows))

    for row, padded in zip(rows, batches.padded(rows, 0), strict=True):
        assert padded == row + [0] * (longest - len(row))


@given(st.integers(1, 500), st.integers(1, 100))
def test_the_rate_never_passes_its_peak_and_comes_down_to_nearly_nothing(steps: int, warm_up: int) -> None:
    rates = [batches.rate(step, steps, 2.0, warm_up) for step in range(steps)]

    assert all(0 < rate <= 2.0 for rate in rates)
    assert rates[-1] == pytest.approx(2.0 / steps) or rates[-1] < 2.0 / steps


def test_a_long_training_tells_each_tenth_of_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(batches.told(35)) == list(range(35))
    assert capsys.readouterr().err.split("\n")[:-1] == [f"models: {tenth}0 % trained" for tenth in range(1, 10)]


def test_a_model_that_does_worse_than_it_should_is_not_made(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe(monkeypatch, accuracy=0.79)

    with pytest.raises(
        NotMadeError, match=r"worthless is right in 0\.790 of 500 held-out cases and 0\.80 is the least"
    ):
        store.folder("worthless")
    assert [entry.name for entry in own_cache.iterdir() if entry.is_dir() and entry.suffix != ".part"] == []


def test_a_model_is_made_once_though_two_ask_and_what_was_measured_is_beside_it(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(monkeypatch, accuracy=0.81)
    found: list[Path] = []
    asking = [threading.Thread(target=lambda: found.append(store.folder("worthless"))) for _ in range(2)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()

    assert len(made) == 1
    assert found == [found[0]] * 2
    assert found[0].parent == own_cache
    assert '"accuracy": 0.81' in (found[0] / store.MADE).read_text()


def test_files_of_a_model_can_be_read_by_every_user(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe(monkeypatch, accuracy=0.81)

    assert {file.stat().st_mode & 0o777 for file in store.folder("worthless").iterdir()} == {0o644}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_counts_every_file_of_ours_that_its_module_imports(name: str) -> None:
    said = RECIPES[name]
    counted = {said.module, *(file.removesuffix(".py") for file in said.others if file.endswith(".py"))}

    for module in counted:
        lines = (store.HERE / f"{module}.py").read_text().splitlines()
        ours = [line.split() for line in lines if line.startswith("from tests.models")]
        several = [word.strip(",") for words in ours if words[1] == "tests.models" for word in words[3:]]
        single = [words[1].rpartition(".")[2] for words in ours if words[1] != "tests.models"]
        assert {*several, *single} <= counted | {"store", "recipes"}, module


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULLSIZER_TEST_CACHE", str(tmp_path))
    return cache.root("models")


def recipe(monkeypatch: pytest.MonkeyPatch, *, accuracy: float) -> list[Path]:
    """A recipe whose model is a file; the folders in which it was made so far."""
    made: list[Path] = []

    def make(folder: Path) -> dict[str, float]:
        made.append(folder)
        (folder / "model.safetensors").touch(mode=0o600)
        return {"accuracy": accuracy, "held_out": 500}

    monkeypatch.setitem(RECIPES, "worthless", WORTHLESS)
    monkeypatch.setattr(store, "maker", lambda _: make)
    return made
