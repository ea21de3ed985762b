"""The raw data as tables for people. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from tests.runtime.bench.aims import AIMS
from tests.runtime.bench.figures import KSERVE, Figures, Record
from tests.runtime.bench.sample import CELLS

FOREIGN_CORES: Final = 0.1
"""Of a core; below it is what a quiet machine does by itself."""


def told(records: Sequence[Record]) -> str:
    figures = Figures(records)
    parts = [
        _about(figures),
        _starts(figures),
        *(_cell(figures, model, cell) for model, cell in figures.cells()),
        _checked(figures),
        _shares(figures),
        _rest(figures),
        _quiet(figures),
        _aims(figures),
    ]
    return "\n\n".join(part for part in parts if part)


def _about(figures: Figures) -> str:
    about = figures.about
    return (
        f"{about.get('cpu', '?')}, {about.get('cores', '?')} cores; commit {about.get('commit', '?')}; "
        f"{about.get('rounds', '?')} rounds of {about.get('seconds', '?')} s in turns, the others asleep\n"
        "texts a second: median of rounds (best); ratios: within a round, their median (best)"
    )


def _starts(figures: Figures) -> str:
    lines = ["                  ready s   PSS MB   then    server"]
    for one in figures.of("started"):
        later = [cell["pss_mb"] for cell in figures.of("cell", model=one["model"], target=one["target"])]
        then = f"{later[-1]:6.0f}" if later else "     -"
        lines.append(
            f"  {one['target']:15} {one['ready_s']:7.1f} {one['pss_mb']:8.0f} {then}    {one['about']}, {one['model']}"
        )
    failed = [
        f"  {one['target']:15} not measured, {one['model']}: {' '.join(one['reason'].split())}"
        for one in figures.of("failed")
    ]
    return "\n".join((*lines, *failed))


def _cell(figures: Figures, model: str, cell: str) -> str:
    shape = CELLS[cell]
    best = figures.best_peer(model, cell)
    clients = "one client" if shape.clients == 1 else f"{shape.clients} clients"
    texts = "one text" if shape.texts == 1 else f"{shape.texts} texts"
    lines = [
        f"{model}, {cell}: {clients}, {texts} a request; best peer: {best or 'none'}",
        "                      texts/s          p50 ms   p99 ms  health p99   cores     x KServe        x best peer",
    ]
    for name in figures.names(model, cell):
        rates = list(figures.rates(model, cell, name).values())
        p50, p99 = (figures.milliseconds(model, cell, name, "latency_ms", share) for share in (0.5, 0.99))
        health = figures.milliseconds(model, cell, name, "health_ms", 0.99)
        lines.append(
            f"  {name:15} {figures.median(model, cell, name):8.1f} {f'({max(rates):.1f})':>9} {p50:11.1f} {p99:8.1f} "
            f"{'       -' if math.isnan(health) else f'{health:8.1f}'} {figures.mean(model, cell, name, 'cpu'):10.2f}  "
            f"{_ratio(figures.ratios(model, cell, name, KSERVE))}  "
            f"{_ratio(figures.ratios(model, cell, name, best) if best else [])}"
        )
    return "\n".join(lines)


def _ratio(found: Sequence[float]) -> str:
    if not found:
        return f"{'-':>7} {'':8}"
    return f"{statistics.median(found):7.2f} {f'({max(found):.2f})':8}"


def _checked(figures: Figures) -> str:
    """Every answer was; what is told is where not all were right."""
    lines = []
    for one in figures.of("started"):
        model, name = one["model"], one["target"]
        checked = figures.of("cell", model=model, target=name)
        answered = sum(cell["answered"] for cell in checked)
        if not answered and not checked:
            continue
        errors: dict[str, int] = {}
        for cell in checked:
            for reason, count in cell["errors"].items():
                errors[reason] = errors.get(reason, 0) + count
        share = 100 * (1 - figures.total(model, name, "wrong") / answered) if answered else 0.0
        accuracy = figures.accuracy(name) if figures.of("accuracy", model=model, target=name) else None
        lines.append(
            f"  {name:15} {model:10} {share:7.2f} % of {answered:6}   errors {sum(errors.values())}"
            + (f"   held-out accuracy {accuracy:.4f}" if accuracy is not None else "")
            + "".join(f"\n      {count} x {reason}" for reason, count in errors.items())
        )
    return (
        "\n".join(("Answers: the same class as transformers in float32, near ties left out", *lines)) if lines else ""
    )


def _shares(figures: Figures) -> str:
    found = dict.fromkeys((one["model"], one["cell"], one["target"]) for one in figures.of("inside"))
    if not found:
        return ""
    lines = ["Served, of what the engine does alone with as many texts waiting"]
    for model, cell, target in found:
        shares = figures.shares(model, cell, target)
        lines.append(f"  {target:15} {model:10} {cell:5} {_ratio(shares)}")
    return "\n".join(lines)


def _rest(figures: Figures) -> str:
    return "\n\n".join((*_overload(figures), *_null(figures), *_soak(figures)))


def _overload(figures: Figures) -> Iterator[str]:
    for one in figures.of("overload"):
        yield (
            f"Overload, {one['target']}: {one['asked']} requests at {one['per_second']:.0f} a second, "
            f"4 times its rate: {one['answered']} answered, {one['refused']} refused by 429, {one['lost']} lost, "
            f"{one['wrong']} with another class; health p99 {one['health_p99_ms']:.1f} ms"
            + "".join(f"\n  {count} x {reason}" for reason, count in one["errors"].items())
        )


def _null(figures: Figures) -> Iterator[str]:
    for one in figures.of("null"):
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in one["requests_s"].items())
        yield f"A model that does nothing, requests a second: {rates}; {one['ratio']:.2f} times KServe"


def _soak(figures: Figures) -> Iterator[str]:
    for one in figures.of("soak"):
        lines = [f"{one['requests']} mixed requests to {one['target']}, {one['model']}: {one['told']}"]
        lines.append("  requests   PSS MB   RSS MB   answers/s")
        lines += [
            f"  {row['requests']:8} {row['pss_mb']:8.0f} {row['rss_mb']:8.0f} {row['per_second']:8.0f}"
            for row in one["rows"]
        ]
        yield "\n".join(lines)


def _aims(figures: Figures) -> str:
    """All of a comparison's; of another run those that it measured."""
    compared = bool(figures.of("cell"))
    lines = [f"  {aim.told(figures)}" for aim in AIMS if compared or aim.value(figures) is not None]
    return "\n".join(("Aims", *lines))


def _quiet(figures: Figures) -> str:
    measured = [*figures.of("cell"), *figures.of("inside")]
    disturbed = [one for one in measured if one["others_cpu"] > FOREIGN_CORES]
    if not disturbed:
        return ""
    worst = max(disturbed, key=lambda one: one["others_cpu"])
    return (
        f"WARNING: other processes took more than {FOREIGN_CORES} of a core in {len(disturbed)} of {len(measured)} "
        f"measurements, {worst['others_cpu']:.2f} at most ({worst['target']}, {worst['cell']}): do not quote these "
        "figures."
    )
