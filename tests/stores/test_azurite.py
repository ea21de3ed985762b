"""Azurite needs Node, which not every machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane import NoToolchainError

from . import azurite


@pytest.mark.parametrize(
    ("programs", "remedy"),
    [
        ({}, "needs node, which is not on PATH: install Node.js"),
        ({"node": "v20.1.0"}, "needs npm, which is not on PATH: install Node.js"),
        ({"node": "v16.20.2", "npm": "8"}, r"needs Node\.js 20 or newer, and .*/node is v16\.20\.2"),
    ],
    ids=["nothing", "no npm", "too old"],
)
def test_without_a_usable_node_the_remedy_is_named(
    programs: dict[str, str], remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoToolchainError, match=remedy):
        azurite.folder()


def test_the_lock_has_every_package_by_its_hash_and_no_address() -> None:
    lock = (azurite.SOURCES / "package-lock.json").read_text()
    assert lock.count('"node_modules/') == lock.count('"integrity": "sha512-')
    assert '"resolved"' not in lock
