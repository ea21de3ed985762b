"""The nearest name that exists, for messages about one that does not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name nearest to `word`, else the list of what is known."""
    names = sorted(known)
    # Case is the commonest slip (`modelpullresources`): compare without it, answer with it.
    by_folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    if found:
        return f"; did you mean {by_folded[found[0]]!r}?"
    return f"; known: {', '.join(names)}"
