"""docs/runtime.md, against the code that it tells of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from classifier_runtime import errors, metrics
from classifier_runtime.core.options import DEFAULT, NAMES, with_options
from classifier_runtime.flags import read
from classifier_runtime.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "runtime.md").read_text()
NONE = "\N{EN DASH}"


def rows(title: str) -> Iterator[list[str]]:
    """The rows of the table under a title, without its head, without backticks around cells."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def test_the_options_are_the_code_s_with_their_defaults() -> None:
    found = {name: default for name, default, _ in rows("Options")}
    assert tuple(sorted(found)) == tuple(sorted(NAMES))
    said = {name: default for name, default in found.items() if default not in (NONE, "by the model")}
    assert with_options(DEFAULT, said) == DEFAULT


def test_the_flags_are_the_code_s_with_their_defaults() -> None:
    found = {flag.strip("`"): default for flags, default, _ in rows("Flags") for flag in flags.split(", ")}
    assert {flag.removeprefix("--") for flag in found} == Settings.model_fields.keys()
    said = [f"{flag}={default}" for flag, default in found.items() if default != NONE and " " not in default]
    assert read(said, {}) == (Settings(), [])


def test_every_metric_is_told_of_and_no_other() -> None:
    assert metrics  # imported for what it registers
    ours = {metric.name for metric in REGISTRY.collect() if metric.name.startswith("classifier_")}
    kinds = {"counter": "_total", "info": "_info"}
    names = {f"{metric.name}{kinds.get(metric.type, '')}" for metric in REGISTRY.collect() if metric.name in ours}
    assert {name for name, _ in rows("Metrics")} == names


@pytest.mark.parametrize("error", [one for one in vars(errors).values() if isinstance(one, type)])
def test_every_status_that_a_request_can_get_is_told_of(error: type) -> None:
    if issubclass(error, errors.RequestError):
        assert str(error.status) in {status for status, _, _ in rows("Errors")}
