"""Clients that ask a server for a while, and hear whether its answers are right."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from tests.bench.load import Connection, LoadError, body_of, request
from tests.runtime.bench.sample import Heard, Span
from tests.runtime.bench.server import Server
from tests.runtime.bench.subjects import Subject

PROBE_SECONDS: Final = 0.05
TIMEOUT_SECONDS: Final = 60.0
_HEAD: Final = 1024
"""Bytes of an answer in which its headers are."""
_AFTER_ERROR_SECONDS: Final = 0.05
"""A server that fails at once would be asked thousands of times a second."""


@dataclass(frozen=True)
class Question:
    """A request, ready to be sent, and the classes that its answer is to have."""

    data: bytes
    expected: Sequence[int | None]


def questions(server: Server, url: str, subject: Subject, per: int) -> list[Question]:
    """All texts, so many in a request; what is left over is not asked, for the requests to be alike."""
    whole = len(subject.texts) // per * per
    return questions_of(server, url, subject.texts[:whole], subject.expected[:whole], per)


def questions_of(
    server: Server, url: str, texts: Sequence[str], expected: Sequence[int | None], per: int
) -> list[Question]:
    """These texts, so many in a request, and the rest in the last one."""
    return [
        Question(
            request("POST", url + server.path, orjson.dumps(server.question(texts[at : at + per]))),
            expected[at : at + per],
        )
        for at in range(0, len(texts), per)
    ]


class Client:
    """Asks one server.

    :param ids: of the model's labels: some servers answer with those
    """

    def __init__(self, server: Server, url: str, ids: Mapping[str, int]) -> None:
        self._server = server
        self._ids = ids
        self.url = url

    def classes(self, answer: bytes) -> list[int]:
        """Of a whole answer, headers and all.

        :raises LoadError: it is none of success, or cannot be understood
        """
        return self.understood(body_of(answer))

    def understood(self, body: bytes) -> list[int]:
        """:raises LoadError: it cannot be understood"""
        try:
            found = self._server.classes(orjson.loads(body))
            return [self._ids[one] if isinstance(one, str) else int(one) for one in found]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise LoadError(f"unreadable answer ({error!r}): {body[:200]!r}") from error

    async def ask(self, asked: Sequence[Question], clients: int, until: float, *, probed: bool = False) -> Heard:
        """Each client asks again as soon as it has its answer, and begins none after the end."""
        heard = Heard()
        taken = itertools.cycle(asked)
        async with asyncio.TaskGroup() as group:
            if probed:
                group.create_task(self.probe(heard.health, until))
            for _ in range(clients):
                group.create_task(self._keep_asking(taken, until, heard))
        return heard

    async def ask_once(self, asked: Sequence[Question], clients: int) -> tuple[Heard, list[list[int]]]:
        """Every question, and the classes answered, in their order; of one that failed none."""
        heard = Heard()
        found: list[list[int]] = [[] for _ in asked]
        left = iter(enumerate(asked))

        async def client() -> None:
            async with kept(self.url) as line:
                for place, question in left:
                    try:
                        found[place] = self.classes(await line.ask(question.data))
                        heard.wrong += disagreeing(found[place], question.expected)
                    except (LoadError, OSError, TimeoutError) as error:
                        heard.errors[reason(error)] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())
        return heard, found

    async def _keep_asking(self, taken: Iterator[Question], until: float, heard: Heard) -> None:
        async with kept(self.url) as line:
            while time.perf_counter() < until:
                question = next(taken)
                began = time.perf_counter()
                try:
                    answer = await line.ask(question.data)
                    ended = time.perf_counter()
                    found = self.classes(answer)
                except (LoadError, OSError, TimeoutError) as error:
                    heard.errors[reason(error)] += 1
                    await asyncio.sleep(_AFTER_ERROR_SECONDS)
                    continue
                heard.spans.append(Span(began, ended, len(question.expected)))
                heard.wrong += disagreeing(found, question.expected)

    async def probe(self, health: list[float], until: float) -> None:
        """Ask for health at a fixed pace, whether or not the one before was answered."""
        data = request("GET", self.url + self._server.health)
        idle: list[Line] = []

        async def once() -> None:
            line = idle.pop() if idle else Line(self.url)
            began = time.perf_counter()
            try:
                body_of(await line.ask(data))
            except (LoadError, OSError, TimeoutError):
                health.append(TIMEOUT_SECONDS)
            else:
                health.append(time.perf_counter() - began)
            idle.append(line)

        async with asyncio.TaskGroup() as group:
            while time.perf_counter() < until:
                group.create_task(once())
                await asyncio.sleep(PROBE_SECONDS)
        for line in idle:
            line.close()


class Line:
    """A connection that is opened again where it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: Connection | None = None

    async def ask(self, data: bytes) -> bytes:
        """:raises LoadError: the connection ended; OSError, TimeoutError"""
        if self._open is None or self._open.lost:
            self._open = await Connection.open(self._url, None)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await self._open.ask(data)
        except (LoadError, TimeoutError, asyncio.CancelledError):
            self.close()
            raise
        if b"\r\nconnection: close\r\n" in answer[:_HEAD].lower():
            self.close()
        return answer

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


@contextlib.asynccontextmanager
async def kept(url: str) -> AsyncIterator[Line]:
    line = Line(url)
    try:
        yield line
    finally:
        line.close()


def disagreeing(found: Sequence[int], expected: Sequence[int | None]) -> int:
    """How many texts have another class than expected; all of them, where the numbers differ."""
    if len(found) != len(expected):
        return len(expected)
    return sum(right is not None and one != right for one, right in zip(found, expected, strict=True))


def reason(error: BaseException) -> str:
    """Short, for counting."""
    return (str(error) or type(error).__name__)[:120]
