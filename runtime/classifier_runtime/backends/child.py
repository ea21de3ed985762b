"""Work in a process of its own: what it imports and takes is gone when it is done, and it ends with its parent."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class ChildDied(RuntimeError):
    """It ended without an answer."""


def run(work: Callable[..., Any], *args: Any) -> Any:
    """What the work returns, or raises.

    :param work: a function of a module's, for the child imports it
    :raises ChildDied: it was killed, most likely for memory
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    # A daemon: a server that is told to end while it converts ends at once.
    process = context.Process(target=_target, args=(theirs, work, args), daemon=True)
    process.start()
    theirs.close()
    try:
        answer, error = ours.recv()
    except EOFError:
        process.join()
        raise ChildDied(f"the process ended by itself ({process.exitcode}); if by -9, for want of memory") from None
    finally:
        ours.close()
    process.join()
    if error is not None:
        raise error
    return answer


def _target(pipe: Connection, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        pipe.send((work(*args), None))
    except Exception as error:  # noqa: BLE001 - the parent gets it
        pipe.send((None, error))
