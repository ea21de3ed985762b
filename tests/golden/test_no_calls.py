"""Admission decides from memory: no socket is made, no name is looked up, no file is opened, no process started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from pullsizer.admission.deciding import decide_pod
from tests.golden import cases

_FORBIDDEN: Final = ("socket.", "open", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "urllib.")
_watched: Final[list[list[str]]] = []
"""Where the calls of a watch go; empty while nobody watches. A hook can be added, and never taken away."""


def _hook(event: str, _: object) -> None:
    if _watched and event.startswith(_FORBIDDEN):
        _watched[-1].append(event)


sys.addaudithook(_hook)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What is called meanwhile."""
    _watched.append([])
    try:
        yield _watched[-1]
    finally:
        _watched.pop()


def test_the_watch_sees_a_socket_and_a_file() -> None:
    import socket

    with watched() as called:
        socket.socket().close()
        with open(__file__, encoding="utf-8"):  # noqa: PTH123 - just this call
            pass
    assert {event.partition(".")[0] for event in called} == {"socket", "open"}


@pytest.mark.parametrize("case", cases.CASES)
def test_a_decision_makes_no_call(case: str) -> None:
    pod, known = cases.read(case, "pod.yaml"), cases.told(case)
    with watched() as called:
        decide_pod(pod, cases.NAMESPACE, known)
    assert called == []
