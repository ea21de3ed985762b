"""Where commands print: answers on standard output, all else on standard error.

Colours only on a terminal and without NO_COLOR; into a pipe lines are never folded, so that what is printed there does
not depend on where it was run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, Final, Literal

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

Format = Literal["table", "json", "yaml"]

_UNFOLDED: Final = 100_000
_THEME: Final = Theme({"head": "bold", "good": "green", "bad": "red", "warn": "yellow", "dim": "dim"}, inherit=False)


def stdout() -> Console:
    return _console(sys.stdout.isatty(), stderr=False)


def stderr() -> Console:
    return _console(sys.stderr.isatty(), stderr=True)


def _console(terminal: bool, *, stderr: bool) -> Console:
    return Console(
        stderr=stderr,
        theme=_THEME,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not terminal,
        width=None if terminal else _UNFOLDED,
        force_terminal=terminal,
    )


def rows(console: Console, pairs: Iterable[tuple[str, str | Text]], indent: int = 2) -> None:
    """Words on the left, what they say on the right; folded there on a terminal that is too narrow."""
    pairs = list(pairs)
    left = max((len(word) for word, _ in pairs), default=0)
    if not console.is_terminal:
        for word, text in pairs:
            console.print(f"{' ' * indent}{word:<{left}}  {text}")
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim", min_width=left + indent)
    grid.add_column(overflow="fold")
    for word, text in pairs:
        grid.add_row(" " * indent + word, text)
    if pairs:
        console.print(grid)


def say(text: str, style: str = "") -> None:
    """A line for the person, beside the answer."""
    stderr().print(text, style=style or None)


def dump(value: Any, form: Literal["json", "yaml"]) -> None:
    """An answer for programs."""
    if form == "json":
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=_UNFOLDED))
