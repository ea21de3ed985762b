"""The clients, with servers that answer well, badly and not at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import orjson
import pytest
from aiohttp import web

from tests.bench.load import LoadError
from tests.runtime.bench import overload, soak
from tests.runtime.bench.asking import Client, Line, Question, questions_of
from tests.runtime.bench.peers import PEERS

KSERVE = PEERS[0]
IDS = {"NEGATIVE": 0, "POSITIVE": 1}
Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.Response]]


@asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[Client]:
    """A client of a server that answers with this, and health by 200."""

    async def answer(http: web.BaseRequest) -> web.Response:
        return web.Response() if http.method == "GET" else await handle(http)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Client(KSERVE, f"http://127.0.0.1:{runner.addresses[0][1]}", IDS)
    finally:
        await runner.cleanup()


async def ones(http: web.BaseRequest) -> web.Response:
    texts = orjson.loads(await http.read())["instances"]
    return web.json_response({"predictions": [1 for _ in texts]})


def asked(client: Client, expected: list[int | None], per: int = 1) -> list[Question]:
    return questions_of(KSERVE, client.url, ["a text"] * len(expected), expected, per)


async def test_an_answer_with_another_class_than_expected_is_wrong_and_a_near_tie_is_not() -> None:
    async with serving(ones) as client:
        heard, found = await client.ask_once(asked(client, [1, 0, None, 1, 0, 1], per=2), 2)

    assert found == [[1, 1]] * 3
    assert heard.wrong == 2
    assert not heard.errors


async def test_clients_ask_again_and_again_until_the_end_and_each_answer_is_kept() -> None:
    async with serving(ones) as client:
        began = time.perf_counter()
        heard = await client.ask(asked(client, [1, 1], per=2), 3, began + 0.2, probed=True)

    assert len(heard.spans) > 3
    assert all(began <= span.asked < span.answered and span.texts == 2 for span in heard.spans)
    assert heard.wrong == 0
    assert heard.health


async def test_answers_that_are_errors_are_counted_by_what_they_say_and_do_not_end_the_asking() -> None:
    async def fail(http: web.BaseRequest) -> web.Response:
        return web.Response(status=500, text="no luck")

    async with serving(fail) as client:
        heard = await client.ask(asked(client, [1]), 2, time.perf_counter() + 0.2)

    ((said, count),) = heard.errors.items()
    assert "500" in said
    assert "no luck" in said
    assert count > 2
    assert not heard.spans


async def test_a_connection_that_the_server_closes_is_opened_again() -> None:
    async def close(http: web.BaseRequest) -> web.Response:
        answer = await ones(http)
        answer.force_close()
        return answer

    async with serving(close) as client:
        heard, _ = await client.ask_once(asked(client, [1] * 5), 1)

    assert not heard.errors


@pytest.mark.parametrize("body", [b"", b"[]", b'{"predictions": [{}]}', b'{"data": 1}'])
def test_a_body_of_another_shape_is_an_error(body: bytes) -> None:
    with pytest.raises(LoadError, match="unreadable"):
        Client(KSERVE, "", IDS).understood(body)


ANSWERS: dict[str, Any] = {
    "kserve": {"predictions": [1, 0]},
    "infinity-onnx": {
        "data": [
            [{"label": "POSITIVE", "score": 0.9}, {"label": "NEGATIVE", "score": 0.1}],
            [{"label": "POSITIVE", "score": 0.2}, {"label": "NEGATIVE", "score": 0.8}],
        ]
    },
    "mlserver": {"outputs": [{"name": "output", "data": ['{"label": "POSITIVE"}', '{"label": "NEGATIVE"}']}]},
    "litserve": {"outputs": [{"label": "POSITIVE"}, {"label": "NEGATIVE"}]},
    "triton": {"outputs": [{"name": "score", "data": [1, 1]}, {"name": "label", "data": ["POSITIVE", "NEGATIVE"]}]},
    "pipeline": [{"label": "POSITIVE"}, {"label": "NEGATIVE"}],
}
ANSWERS["infinity-torch"] = ANSWERS["infinity-onnx"]


@pytest.mark.parametrize("server", PEERS, ids=lambda server: server.name)
def test_each_peers_answer_is_understood(server: Any) -> None:
    assert Client(server, "", IDS).understood(orjson.dumps(ANSWERS[server.name])) == [1, 0]


async def test_under_overload_each_request_is_answered_or_refused_or_lost() -> None:
    number = 0

    async def busy(http: web.BaseRequest) -> web.Response:
        nonlocal number
        number += 1
        if number % 3 == 0:
            return web.Response(status=429, headers={"Retry-After": "1"})
        if number % 3 == 1:
            return web.Response(status=503, text="ending")
        return await ones(http)

    async with serving(busy) as client:
        outcome = await overload.flood(client, asked(client, [1]), 300, 0.3)

    assert outcome.asked == outcome.answered + outcome.refused + sum(outcome.lost.values())
    assert outcome.asked == pytest.approx(90, abs=3)
    assert outcome.refused > 0
    assert all("503" in reason for reason in outcome.lost)
    assert outcome.health


async def test_a_server_that_refuses_without_saying_when_to_come_again_has_lost_the_request() -> None:
    async def refuse(http: web.BaseRequest) -> web.Response:
        return web.Response(status=429)

    async with serving(refuse) as client:
        outcome = await overload.flood(client, asked(client, [1]), 100, 0.1)

    assert outcome.refused == 0
    assert outcome.lost


def test_a_soaks_requests_are_of_all_kinds_and_the_same_each_time() -> None:
    drawn = list(soak.drawn(["a text of some length", "another"], "http://127.0.0.1", 2000))

    assert {kind.name for kind, _ in drawn} == {kind.name for kind in soak.KINDS}
    assert drawn == list(soak.drawn(["a text of some length", "another"], "http://127.0.0.1", 2000))


def test_memory_that_levels_off_has_no_growth_however_much_it_grew_before() -> None:
    assert soak.growth([100, 200, 250, 300, 300, 300, 300, 300]) == 0
    assert soak.growth([100, 110, 120, 130, 140, 150, 160, 170]) == pytest.approx(165 / 145 - 1)
    assert soak.growth([100]) == 0


async def test_a_client_that_goes_before_its_answer_is_no_error_and_can_ask_again() -> None:
    gone = asyncio.Event()

    async def wait(http: web.BaseRequest) -> web.Response:
        await gone.wait()
        return await ones(http)

    async with serving(wait) as client:
        (question,) = asked(client, [1])
        line = Line(client.url)
        await soak.leave(line, question.data)
        gone.set()

        assert client.classes(await line.ask(question.data)) == [1]
        line.close()
