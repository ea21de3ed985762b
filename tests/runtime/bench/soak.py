"""Many requests of all kinds, and how much memory the server takes meanwhile: it is to level off.

Texts of every length, batches, all three protocols, ids and labels, mistakes, and clients that do not wait for their
answer. Which come is drawn with a fixed seed.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tests.bench.load import LoadError, request
from tests.runtime.bench.asking import Line, reason
from tests.runtime.bench.measure import Record, Run, Target
from tests.runtime.bench.server import NAME

SEED: Final = 11
CLIENTS: Final = 32
SAMPLES: Final = 20
MOST_TEXTS: Final = 8
"""In a batch."""
LEAVE_SECONDS: Final = 0.002
"""After which an impatient client goes: by then its request is read, and its answer not there."""


@dataclass(frozen=True)
class Kind:
    """Of request.

    :param weight: how often, beside the others
    :param body: of some texts
    :param status: of the right answer
    :param waits: whether the client waits for it
    """

    name: str
    weight: int
    path: str
    body: Callable[[Sequence[str]], Any]
    status: int = 200
    waits: bool = True


def _v2(texts: Sequence[str], **parameters: Any) -> Any:
    tensor = {"name": "input-0", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    return {"inputs": [tensor], "parameters": parameters}


_V1: Final = f"/v1/models/{NAME}:predict"
_V2: Final = f"/v2/models/{NAME}/infer"
KINDS: Final = (
    Kind("V1", 30, _V1, lambda texts: {"instances": texts}),
    Kind("V1, labels", 15, _V1, lambda texts: {"instances": texts, "parameters": {"id2label": True, "top_k": 2}}),
    Kind("V1, probabilities", 5, _V1, lambda texts: {"instances": texts, "parameters": {"return_probabilities": True}}),
    Kind("V2", 15, _V2, _v2),
    Kind("V2, labels", 10, _V2, lambda texts: _v2(texts, id2label=True)),
    Kind("Hugging Face", 10, "/", lambda texts: {"inputs": texts}),
    Kind("no JSON", 2, _V1, lambda _: b'{"instances": [', 400),
    Kind("no text", 2, _V1, lambda _: {"instances": [7]}, 400),
    Kind("an unknown option", 2, _V1, lambda texts: {"instances": texts, "parameters": {"label": True}}, 400),
    Kind("another datatype", 2, _V2, lambda texts: {"inputs": [{**_v2(texts)["inputs"][0], "datatype": "FP8"}]}, 400),
    Kind("an unknown model", 2, "/v1/models/other:predict", lambda texts: {"instances": texts}, 404),
    Kind("gone before its answer", 5, _V1, lambda texts: {"instances": texts}, waits=False),
)


@dataclass
class Outcome:
    """What was heard so far."""

    done: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    rows: list[dict[str, float]] = field(default_factory=list)


def drawn(texts: Sequence[str], url: str, count: int) -> Iterator[tuple[Kind, bytes]]:
    """Requests; a third of them batches, and each text cut or doubled to a length of its own."""
    chance = random.Random(SEED)
    weights = [kind.weight for kind in KINDS]
    for _ in range(count):
        (kind,) = chance.choices(KINDS, weights)
        many = chance.randint(2, MOST_TEXTS) if chance.random() < 1 / 3 else 1
        asked = [_some_of(chance.choice(texts), chance) for _ in range(many)]
        body = kind.body(asked)
        yield kind, request("POST", url + kind.path, body if isinstance(body, bytes) else orjson.dumps(body))


def _some_of(text: str, chance: random.Random) -> str:
    twice = f"{text} {text}"
    return twice[: chance.randint(1, len(twice))]


def measure(target: Target, count: int, run: Run[Outcome]) -> Record:
    found = run(_soak(target, count))
    return {
        "kind": "soak",
        "model": target.subject.name,
        "target": target.server.name,
        "requests": found.done,
        "rows": found.rows,
        "growth": growth([row["pss_mb"] for row in found.rows]),
        "told": ", ".join(f"{number} {name}" for name, number in sorted(found.kinds.items()))
        + f"; {found.refused} refused by 429; {sum(found.wrong.values())} answered otherwise than they were to be "
        + str(dict(found.wrong)),
    }


def growth(samples: Sequence[float]) -> float:
    """By what share the last quarter's median is above that of the quarter before: what levels off, has none."""
    quarter = max(1, len(samples) // 4)
    before = statistics.median(samples[-2 * quarter : -quarter] or samples)
    return statistics.median(samples[-quarter:]) / before - 1


async def _soak(target: Target, count: int) -> Outcome:
    outcome = Outcome()
    left = drawn(target.subject.texts, target.url, count)
    every = max(1, count // SAMPLES)
    began = time.perf_counter()

    def sample() -> None:
        nonlocal began
        now = time.perf_counter()
        outcome.rows.append(
            {
                "requests": outcome.done,
                "pss_mb": target.started.megabytes,
                "rss_mb": target.started.resident,
                "per_second": every / (now - began),
            }
        )
        began = now

    async def client() -> None:
        line = Line(target.url)
        for kind, data in left:
            outcome.kinds[kind.name] += 1
            try:
                if kind.waits:
                    status = int((await line.ask(data)).split(b" ", 2)[1])
                    outcome.refused += status == 429
                    if status not in (kind.status, 429):
                        outcome.wrong[f"{kind.name}: {status}"] += 1
                else:
                    await leave(line, data)
            except (LoadError, OSError, TimeoutError) as error:
                outcome.wrong[f"{kind.name}: {reason(error)}"] += 1
            outcome.done += 1
            if outcome.done % every == 0:
                sample()
        line.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
    return outcome


async def leave(line: Line, data: bytes) -> None:
    """Ask, and close the connection before the answer."""
    try:
        await asyncio.wait_for(line.ask(data), LEAVE_SECONDS)
    except TimeoutError:
        return
