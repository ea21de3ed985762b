"""The tables of docs/sizing.md, from the code: `python -m tests.deploy.sizing_page` writes them.

With `--check` it only looks.

Each stands between `<!-- name -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from pullsizer.kserve import INJECTED
from pullsizer.model import ARCHIVES, ModelFacts, Source
from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY
from pullsizer.policy import load_policy
from pullsizer.pulls import PullContainer
from pullsizer.quantity import human, write
from pullsizer.sizing import Decision, Inputs, decide
from pullsizer.sizing.table import ROWS, Row
from tests.unit.sizing.measured import tried

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "sizing.md"
MODELS: Final[list[dict[str, Any]]] = yaml.safe_load((ROOT / "tests" / "stubs" / "models.yaml").read_text())
IMAGE: Final = "kserve/storage-initializer:v0.20.0"
TUNE: Final = "downloader: {tune: Auto}"
NONE: Final = "\N{EN DASH}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
TEN: Final = 10_000_000_000
_KSERVES: Final = 1024
"""MiB: the limit that KServe gives every pull."""
_UNBOUNDED: Final = 1 << 30

CASES: Final = {
    "`https`, one file": ("https://example.com/model", ModelFacts(TEN, 1, TEN), ""),
    "`s3`, ten files": ("s3://bucket/model", ModelFacts(TEN, 10, TEN // 10), ""),
    "`hf`, one file, KServe's settings": ("hf://org/model", ModelFacts(TEN, 2, TEN), ""),
    "`hf`, the same, tuned": ("hf://org/model", ModelFacts(TEN, 2, TEN), TUNE),
    "`s3`, size not known: `modelPullResources`": ("s3://bucket/model", None, ""),
}


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.sizing_page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where it is not up to date")
    check = parser.parse_args(argv).check
    before = PAGE.read_text()
    after = rendered(before)
    if check and before != after:
        print("docs/sizing.md does not have what the code says; run `make docs`", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(after)
    return 0


def rendered(page: str) -> str:
    """The page with its tables as they should be."""
    for name, table in TABLES.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->\n)", re.DOTALL)
        text = "\n".join(table())
        page, times = block.subn(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)  # type: ignore[misc]
        if times != 1:
            raise SystemExit(f"{PAGE.name} has {times} blocks <!-- {name} -->, not one")
    return page


def sized(uri: str, facts: ModelFacts | None, policy: str = "") -> Decision:
    """What a pull gets in a pod as KServe makes it."""
    container = PullContainer(0, "storage-initializer", IMAGE, (Source(uri),), INJECTED, "disk")
    return decide(Inputs(container, (facts,), load_policy(policy)))


def amounts(decision: Decision, *names: str) -> str:
    """As in `kubectl get mpull`."""
    assert decision.resources is not None
    columns = []
    for name in names:
        sides = (decision.resources.requests.get(name), decision.resources.limits.get(name))
        columns.append("/".join(write(amount, name) for amount in sides if amount is not None) or NONE)
    return " | ".join(columns)


def facts_of(model: dict[str, Any]) -> ModelFacts:
    return ModelFacts(model["bytes"], model["files"], model["largest"])


# -- tables -----------------------------------------------------------------------------------------------------------


def _law() -> Iterable[str]:
    yield "| downloader | working set, MiB: the request | limit | measured |"
    yield "|---|---|---|---|"
    for row in ROWS:
        yield f"| {row.name} | {_formula(row)} | {TIMES} {row.room:g} | {'yes' if row.measured else 'no: a bound'} |"


def _formula(row: Row) -> str:
    held = f"min({row.held:g}, {f'{row.copies:g} {TIMES} ' if row.copies != 1 else ''}L)" if row.held else ""
    if row.held >= _UNBOUNDED:
        held = f"{row.copies:g} {TIMES} L"
    each = " + ".join(filter(None, (f"{row.each:g}" if row.each else "", held)))
    if row.workers > 1 and each:
        each = f"min(n, {row.workers}) {TIMES} {f'({each})' if ' + ' in each else each}"
    return " + ".join(filter(None, (f"{row.base + row.sockets:g}", each)))


def _cpu() -> Iterable[str]:
    yield "| downloader | core-seconds a GiB | of a tar | of a tar.gz | of a zip | cores |"
    yield "|---|---|---|---|---|---|"
    for row in ROWS:
        cells = (f"{row.core_seconds[kind]:g}" if kind in row.core_seconds else NONE for kind in ARCHIVES)
        yield f"| {row.name} | {' | '.join(cells)} | {row.cores} |"


def _models() -> Iterable[str]:
    yield "| model | size | largest file | cpu | disk | memory | memory, tuned |"
    yield "|---|---|---|---|---|---|---|"
    for model in MODELS:
        facts = facts_of(model)
        plain, tuned = (sized(model["uri"], facts, policy) for policy in ("", TUNE))
        yield (
            f"| `{model['uri']}` | {human(facts.bytes)} | {human(facts.largest)} "
            f"| {amounts(plain, CPU, EPHEMERAL_STORAGE, MEMORY)} | {amounts(tuned, MEMORY)} |"
        )


def _cases() -> Iterable[str]:
    yield "| case | memory | cpu | disk |"
    yield "|---|---|---|---|"
    for case, of in CASES.items():
        yield f"| {case} | {amounts(sized(*of), MEMORY, CPU, EPHEMERAL_STORAGE)} |"


def _savings() -> Iterable[str]:
    limits = [found.limit for found in tried()]
    ours, largest = sum(limits) / 1024, max(limits) / 1024 * len(limits)
    died = sum(any(limit >= _KSERVES for limit in result.bad) for result in tried().values())
    short = sum(limit > _KSERVES for limit in limits)
    yield f"| over the {len(limits)} kinds of pulls that were measured | sum of memory limits |"
    yield "|---|---|"
    yield f"| every pull gets what the largest needs, {max(limits) / 1024:g} GiB | {largest:.0f} GiB |"
    yield f"| Pullsizer | {ours:.0f} GiB, {ours / largest:.0%} of that |"
    yield (
        f"| KServe's 1Gi | {_KSERVES * len(limits) / 1024:.0f} GiB, with {short} kinds that need more, of which {died} "
        "were seen to die or stall at 1Gi or above |"
    )


TABLES: Final[dict[str, Callable[[], Iterable[str]]]] = {
    "law": _law,
    "cpu": _cpu,
    "models": _models,
    "cases": _cases,
    "savings": _savings,
}


if __name__ == "__main__":
    sys.exit(main())
