"""The engine: one thread that computes batch after batch for all requests, and never waits while there is work.

There is no timer. While a batch is computed the next items gather, so the busier the server is the better its batches
are, and a lone request goes at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from classifier_runtime.backends.base import Backend
from classifier_runtime.core.batching import Turns, Waiting
from classifier_runtime.core.job import Computed, Floats, Item
from classifier_runtime.errors import DeviceLost, ModelFailed, NotReady, OutOfMemory, Overloaded, RequestError

log = logging.getLogger(__name__)

_FIRST_RATE = 1000.0
"""Tokens a second that are assumed before any were computed, for the first `Retry-After`."""
_JOIN_SECONDS = 1.0
"""For the batch that is computed at the end. Nobody waits for it, and the thread keeps no process from ending."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was computed at once, for metrics.

    :param cost: tokens, padding and all
    """

    items: int
    tokens: int
    cost: int
    seconds: float


@dataclass(eq=False, slots=True)
class _Request:
    """Items that came together, and the answers so far."""

    items: Sequence[Item]
    done: asyncio.Future[Computed]
    came: float = field(default_factory=time.perf_counter)
    logits: list[Floats | None] = field(default_factory=list)
    left: int = 0
    began: float = 0.0
    forward: float = 0.0
    error: RequestError | None = None
    over: bool = False
    """Nobody waits for it any more."""


class Engine:
    """Computes items in batches.

    :param budget: tokens of a batch, padding and all
    :param queue_tokens: that may wait; a request that comes when there are more is refused
    :param observe: told of each batch, in the engine's thread
    """

    def __init__(
        self, backend: Backend, *, budget: int, queue_tokens: int, observe: Callable[[Batch], None] = lambda _: None
    ) -> None:
        self._backend = backend
        self._budget = budget
        self._most = queue_tokens
        self._observe = observe
        self._turns: Turns[_Request] = Turns()
        self._work = threading.Condition()
        self._open: set[_Request] = set()
        self._failed = False
        self._closing = False
        self._gone = False
        self._rate = _FIRST_RATE
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def waiting_tokens(self) -> int:
        """Tokens that wait for their turn."""
        return self._turns.tokens

    def start(self) -> None:
        """From the event loop that will ask."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """End the thread; what still waits is not answered. A batch that takes long is left to the process's end."""
        with self._work:
            self._closing = True
            self._work.notify()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    async def compute(self, items: Sequence[Item]) -> Computed:
        """Logits of the items, in their order.

        All of them are taken or none. Who is cancelled leaves: what was not computed by then is not computed.

        :raises RequestError: Overloaded, NotReady, ModelFailed; DeviceLost where the thread has ended
        """
        if self._loop is None:
            raise NotReady("the model is not ready yet")
        if self._failed:
            raise _failed()
        if not items:
            return Computed(())
        costs = [item.tokens for item in items]
        request = _Request(items, self._loop.create_future(), logits=[None] * len(items), left=len(items))
        with self._work:
            if len(self._turns) and self._turns.tokens + sum(costs) > self._most:
                raise Overloaded(
                    f"{len(self._turns)} texts are waiting, which is all that may; come again",
                    retry_after=max(1, math.ceil(self._turns.tokens / self._rate)),
                )
            self._turns.add(request, costs)
            self._work.notify()
        self._open.add(request)
        try:
            return await request.done
        finally:
            self._open.discard(request)
            if request.left:
                request.over = self._gone = True  # the thread drops what is left of it

    def _end(self) -> None:
        """Answer everybody, for the thread never will."""
        self._failed = True
        for request in self._open:
            if not request.done.done():
                request.done.set_exception(_failed())

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._batches()
        except Exception:
            log.critical("the engine failed", exc_info=True)
            self._tell(self._end)

    def _batches(self) -> None:
        while True:
            with self._work:
                while not self._closing and not len(self._turns):
                    self._work.wait()
                if self._closing:
                    return
                if self._gone:
                    self._gone = False
                    self._turns.drop(lambda request: request.over)
                batch = self._turns.take(self._budget, self._backend.cost)
            if batch:
                self._compute(batch)

    def _compute(self, batch: list[Waiting[_Request]]) -> None:
        began = time.perf_counter()
        for waiting in batch:
            waiting.request.began = waiting.request.began or began
        failure = self._forward(batch)
        if failure is not None:
            log.error("a batch failed items=%d", len(batch), exc_info=failure)
        seconds = time.perf_counter() - began
        tokens = sum(waiting.tokens for waiting in batch)
        cost = self._backend.cost(len(batch), max(waiting.tokens for waiting in batch), tokens)
        # Of the last few batches: it is for telling when to come again, not for a record.
        self._rate += (tokens / max(seconds, 1e-6) - self._rate) / 8
        self._observe(Batch(len(batch), tokens, cost, seconds))
        finished = []
        for request in dict.fromkeys(waiting.request for waiting in batch):
            request.forward += seconds
            if not request.left or request.error is not None:
                finished.append(request)
        if finished:
            self._tell(partial(_answer, finished))

    def _tell(self, answer: Callable[[], None]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(answer)
        except RuntimeError:  # the loop is closed: nobody waits
            log.debug("answers came after the end")

    def _forward(self, batch: Sequence[Waiting[_Request]], tries: int = 1) -> Exception | None:
        """Each item's logits into its request; or an error, into those requests that have a part in it.

        :returns: one of the errors, for the log: of a batch that fails, each half's and each item's is mostly the same
        """
        try:
            rows = self._backend.forward([waiting.request.items[waiting.place] for waiting in batch])
            if len(rows) != len(batch):
                raise ModelFailed("the model gave another number of answers than it was asked for")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - whatever a device or a library raises is one batch's, not the server's
            if (
                len(batch) > 1
                and not isinstance(error, DeviceLost)
                and (tries > 0 or not isinstance(error, OutOfMemory))
            ):
                # Of what does not fit, halves may. Of what fails, one item may be the cause, and the others innocent.
                middle = len(batch) // 2
                halves = [self._forward(half, tries - 1) for half in (batch[:middle], batch[middle:])]
                return next((found for found in halves if found is not None), None)
            found = error if isinstance(error, RequestError) else ModelFailed("the model failed; the log says why")
            for waiting in batch:
                waiting.request.error = waiting.request.error or found
            return error
        for waiting, row in zip(batch, rows, strict=True):
            waiting.request.logits[waiting.place] = row
            waiting.request.left -= 1
        return None


def _failed() -> DeviceLost:
    return DeviceLost("the engine failed, and the process has to be started anew; its log says why")


def _answer(finished: Sequence[_Request]) -> None:
    """In the event loop."""
    for request in finished:
        if request.done.done():
            continue
        if request.error is not None:
            request.done.set_exception(request.error)
        else:
            logits = [row for row in request.logits if row is not None]
            request.done.set_result(Computed(logits, request.began - request.came, request.forward))
