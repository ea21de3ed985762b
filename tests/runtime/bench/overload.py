"""More than it can do: requests come at four times its rate, whether or not those before are answered.

Each is to be answered, or told at once by 429 to come again; and health is to be answered as ever.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.bench.load import LoadError
from tests.runtime.bench.asking import Client, Line, Question, disagreeing, reason
from tests.runtime.bench.measure import Record, Run, Target
from tests.runtime.bench.sample import quantile

TIMES: Final = 4
SECONDS: Final = 8.0
"""The queue holds 65,536 tokens, 1,700 of these texts: full after 3 s of four times 200 texts a second."""
_TICK_SECONDS: Final = 0.01
_REFUSED: Final = b"HTTP/1.1 429"


@dataclass
class Outcome:
    """What became of each request."""

    asked: int = 0
    answered: int = 0
    refused: int = 0
    wrong: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    health: list[float] = field(default_factory=list)


def measure(target: Target, rate: float, run: Run[Outcome]) -> Record:
    """:param rate: texts a second that it can do"""
    per_second = TIMES * rate
    found = run(flood(target.client, target.questions(1), per_second, SECONDS))
    return {
        "kind": "overload",
        "model": target.subject.name,
        "target": target.server.name,
        "per_second": per_second,
        "asked": found.asked,
        "answered": found.answered,
        "refused": found.refused,
        "wrong": found.wrong,
        "lost": sum(found.lost.values()),
        "errors": dict(found.lost),
        "health_p99_ms": 1000 * quantile(found.health, 0.99),
    }


async def flood(client: Client, asked: Sequence[Question], per_second: float, seconds: float) -> Outcome:
    outcome = Outcome()
    taken = itertools.cycle(asked)
    idle: list[Line] = []

    async def once(question: Question) -> None:
        line = idle.pop() if idle else Line(client.url)
        try:
            answer = await line.ask(question.data)
            if answer.startswith(_REFUSED) and b"\r\nretry-after:" in answer.lower():
                outcome.refused += 1
            else:
                outcome.wrong += disagreeing(client.classes(answer), question.expected)
                outcome.answered += 1
        except (LoadError, OSError, TimeoutError) as error:
            outcome.lost[reason(error)] += 1
        idle.append(line)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(client.probe(outcome.health, begin + seconds))
        while (passed := time.perf_counter() - begin) < seconds:
            # As many as are due by now: a client that is late catches up.
            while outcome.asked < passed * per_second:
                outcome.asked += 1
                group.create_task(once(next(taken)))
            await asyncio.sleep(_TICK_SECONDS)
    for line in idle:
        line.close()
    return outcome
