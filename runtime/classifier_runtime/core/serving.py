"""The one model of a process, as all protocols see it: what is known of it, whether it takes requests, its limits."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol, TypeVar

from classifier_runtime.core.job import Instance, Result
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.options import Options
from classifier_runtime.core.room import Room
from classifier_runtime.core.scoring import Problem
from classifier_runtime.errors import DeadlineExceeded, DeviceLost, NotReady, TooLarge

T = TypeVar("T")

_FEW_NUMBERS: Final = 1024
"""Up to here an answer is made in less than a millisecond."""
MOST_NUMBERS: Final = 2_097_152
"""Of one answer: 2,048 images with the logits of 1,000 classes each. In JSON they are half a gigabyte of objects."""

# A character of UTF-8 takes at most four bytes: most texts need not be encoded to know that they are short enough.
_CHARACTER = 4


class State(Enum):
    """What a process is doing."""

    STARTING = "starting"
    READY = "ready"
    LEAVING = "leaving"
    """Told to end: not ready for probes, so that no new clients come, while those who still do are served."""
    ENDING = "ending"
    """Nothing new is taken; what was taken is finished."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a loaded model.

    :param task: `text-classification`, `token-classification`, `image-classification`
    :param max_tokens: of one text; 0 for images
    """

    task: str
    labels: Labels
    problem: Problem | None = None
    max_tokens: int = 0

    @property
    def images(self) -> bool:
        return self.task == "image-classification"

    @property
    def tokens(self) -> bool:
        return self.task == "token-classification"

    @property
    def regression(self) -> bool:
        return self.problem == "regression"

    @property
    def scalar(self) -> bool:
        """Whether the answer is a number for itself, not a class: regression, and models with one label."""
        return self.regression or len(self.labels) == 1

    @property
    def multi_label(self) -> bool:
        return self.problem == "multi_label_classification" and len(self.labels) > 1


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request.

    :param seconds: after which nobody waits for its answer any more
    """

    instances: int
    text_bytes: int
    seconds: float

    @property
    def elements(self) -> int:
        """Of one tensor: texts, or pairs of them."""
        return 2 * self.instances


class Classifies(Protocol):
    """`core.service.Service`, as far as it is used here."""

    async def classify(self, instances: Sequence[Instance]) -> Result: ...

    async def beside(self, work: Callable[[], T]) -> T: ...


class Serving:
    """What protocols ask.

    :param options: in force where a request says nothing
    :param offsets: whether basic answers on tokens say where each is in the text
    :param room: for the bytes of all requests; None for no end of it
    :param observe: told of each result
    """

    def __init__(
        self,
        name: str,
        options: Options,
        limits: Limits,
        *,
        offsets: bool = False,
        room: Room | None = None,
        observe: Callable[[Sequence[Instance], Result], None] = lambda _, __: None,
    ) -> None:
        self.name = name
        self.options = options
        self.limits = limits
        self.offsets = offsets
        self.room = room or Room(sys.maxsize)
        self.state = State.STARTING
        self.broken: str | None = None
        """Why the device will never answer again; None while it does."""
        self._observe = observe
        self._facts: Facts | None = None
        self._service: Classifies | None = None
        self._waiting: set[asyncio.Timeout] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._gave_up = False

    def loaded(self, facts: Facts, service: Classifies) -> None:
        """From now on the model answers."""
        self._facts, self._service = facts, service
        if self.state is State.STARTING:
            self.state = State.READY

    @property
    def ready(self) -> bool:
        """What readiness probes are told."""
        return self.state is State.READY and self.broken is None

    @property
    def facts(self) -> Facts:
        """:raises NotReady: nothing is known yet"""
        if self._facts is None:
            raise self.not_ready()
        return self._facts

    @property
    def in_flight(self) -> int:
        """Requests that were taken, and have no result yet."""
        return len(self._waiting)

    def not_ready(self) -> NotReady:
        """In KServe's words, which clients may look for."""
        return NotReady(f"Model with name {self.name} is not ready.")

    async def classify(self, instances: Sequence[Instance]) -> Result:
        """:raises RequestError: why there is no answer"""
        service = self._service
        if service is None or self.state is State.ENDING:
            raise self.not_ready()
        self._check(instances)
        waiting = asyncio.timeout(self.limits.seconds)
        self._waiting.add(waiting)
        self._idle.clear()
        try:
            async with waiting:
                result = await service.classify(instances)
        except DeviceLost as error:
            self.broken = str(error)
            raise
        except TimeoutError:
            if not waiting.expired():
                raise
            if self._gave_up:
                raise NotReady("the server ended before there was an answer; ask again") from None
            raise DeadlineExceeded("the answer would have come too late") from None
        finally:
            self._waiting.discard(waiting)
            if not self._waiting:
                self._idle.set()
        self._observe(instances, result)
        return result

    async def finish(self, seconds: float) -> int:
        """Take nothing new, and return when all that was taken has its result, or was told that there will be none.

        :param seconds: that results are waited for
        :returns: how many were given up
        """
        self.state = State.ENDING
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            self._gave_up = True
        left = [waiting for waiting in self._waiting if not waiting.expired()]
        now = asyncio.get_running_loop().time()
        for waiting in left:
            waiting.reschedule(now)
        await self._idle.wait()
        return len(left)

    async def rendered(self, numbers: int, answer: Callable[[], T]) -> T:
        """An answer, made beside the event loop where that takes long.

        :param numbers: that are in it: `core.size`
        :raises TooLarge: more than one answer may have
        """
        if numbers > MOST_NUMBERS:
            raise TooLarge(
                f"the answer would have {numbers} values, and one has at most {MOST_NUMBERS}; send fewer instances "
                "at a time, or ask for less of each: a top_k, or no return_probabilities"
            )
        if numbers <= _FEW_NUMBERS or self._service is None:
            return answer()
        return await self._service.beside(answer)

    def check_count(self, count: int) -> None:
        """Before anything is made of them.

        :param count: of instances; one with candidates counts as many
        :raises TooLarge: more than a request may have
        """
        if count > self.limits.instances:
            raise TooLarge(
                f"{count} instances in one request, each candidate counted; send at most {self.limits.instances}, or "
                "raise --max_instances"
            )

    def _check(self, instances: Sequence[Instance]) -> None:
        limits = self.limits
        self.check_count(sum(len(one.options.candidate_labels) or 1 for one in instances))
        for place, instance in enumerate(instances):
            for text in (instance.text, instance.text_pair):
                if (
                    text is not None
                    and len(text) * _CHARACTER > limits.text_bytes
                    and len(text.encode("utf-8", "replace")) > limits.text_bytes
                ):
                    raise TooLarge(
                        f"instance {place}: the text has more than {limits.text_bytes} bytes; the model reads only its "
                        "beginning: send less of it, or raise --max_text_bytes"
                    )
