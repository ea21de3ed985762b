"""What an earlier process measured, as it stands in ModelPulls: answers to questions that need not be asked again."""

from __future__ import annotations

from collections import defaultdict

from pullsizer.controller.credentials import endpoint_mark, mark_of
from pullsizer.model import Failure
from pullsizer.modelpull import ANONYMOUS, Measurement


class Seeds:
    """By source, the namespace that may know, and the endpoint's mark."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], dict[str, Measurement]] = defaultdict(dict)

    def clear(self) -> None:
        self._found.clear()

    def put(self, namespace: str, key: str, measurement: Measurement) -> None:
        """Of a ModelPull in the namespace. Users may have written it: what is another namespace's is not taken.

        Nor are failures of a namespace's own: they were for one account, and nothing tells which.
        """
        owner = ""
        if measurement.scope != ANONYMOUS:
            owner = measurement.scope.partition("/")[0]
            if owner != namespace or isinstance(measurement.knowledge, Failure):
                return
        seeds, mark = self._found[key, owner], mark_of(measurement.scope)
        known = seeds.get(mark)
        if known is None or known.measured_at < measurement.measured_at:
            seeds[mark] = measurement

    def take(self, key: str, namespace: str, endpoint: str) -> Measurement | None:
        """The answer to a question, once."""
        mine = self._found.get((key, namespace), {})
        found = mine.pop(endpoint_mark(endpoint), None)
        if found is None and namespace and not endpoint:
            # Its Secret named an endpoint, which is not known again yet; or it was asked as strangers ask.
            everybodys = self._found.get((key, ""), {}).get("")
            if mine:
                found = mine.pop(next(iter(mine)))
            elif everybodys is not None and not isinstance(everybodys.knowledge, Failure):
                found = everybodys
        return found
