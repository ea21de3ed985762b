"""What peers are installed into."""

from __future__ import annotations

from dataclasses import replace as other
from pathlib import Path

import pytest

from tests.runtime.bench.environments import Environment, Unavailable, replace


def test_a_patch_leaves_the_file_alone_that_other_environments_are_linked_to(tmp_path: Path) -> None:
    shared, ours = tmp_path / "shared.py", tmp_path / "ours.py"
    shared.write_text("a = 1\n")
    ours.hardlink_to(shared)

    replace(ours, "a = 1", "a = 2")

    assert ours.read_text() == "a = 2\n"
    assert shared.read_text() == "a = 1\n"


@pytest.mark.parametrize("text", ["b = 1\n", "a = 1\na = 1\n"])
def test_a_file_that_is_not_as_it_was_is_not_patched_by_guess(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.py"
    file.write_text(text)

    with pytest.raises(Unavailable, match=r"file\.py"):
        replace(file, "a = 1", "a = 2")
    assert file.read_text() == text


def test_an_environment_of_other_requirements_is_another_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PULLSIZER_TEST_CACHE", str(tmp_path))
    one = Environment("peer", ("peer==1",))

    assert len({one.folder, other(one, requirements=("peer==2",)).folder, other(one, revision=1).folder}) == 3
    assert one.folder == Environment("peer", ("peer==1",)).folder
