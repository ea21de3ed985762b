from __future__ import annotations

import os
from pathlib import Path

import pytest

from classifier_runtime import container


def group(root: Path, **files: str) -> Path:
    """A root with these files of its control group."""
    folder = root / "sys/fs/cgroup"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return root


@pytest.mark.parametrize(
    ("quota", "found"),
    [("400000 100000", 4), ("150000 100000", 1), ("50000 100000", 1), ("800000 100000", None), ("max 100000", None)],
)
def test_more_threads_than_the_limit_on_cpu_are_no_use(
    quota: str, found: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))

    assert container.cpus(group(tmp_path, cpu_max=quota + "\n")) == found


def test_without_a_limit_on_cpu_the_libraries_decide(tmp_path: Path) -> None:
    assert container.cpus(tmp_path) is None


def test_free_memory_is_the_containers_before_it_is_the_nodes(tmp_path: Path) -> None:
    assert container.memory_free(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   4 kB\n")
    assert container.memory_free(tmp_path) == 4096
    group(tmp_path, memory_max="max\n", memory_current="1000\n", memory_stat="inactive_file 0\n")
    assert container.memory_free(tmp_path) == 4096
    group(tmp_path, memory_max="3000\n")
    assert container.memory_free(tmp_path) == 2000


def test_what_was_read_of_files_is_free(tmp_path: Path) -> None:
    stat = "anon 700\nfile 300\ninactive_file 250\nactive_file 50\n"

    assert (
        container.memory_free(group(tmp_path, memory_max="3000", memory_current="1000", memory_stat=stat)) == 2000 + 250
    )
