"""What is wrong is refused by every protocol alike, while others are answered, and after it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from classifier_runtime.core.labels import Labels
from classifier_runtime.core.serving import Facts
from classifier_runtime.protocols import inference_pb2 as pb
from classifier_runtime.protocols import v2_binary
from tests.runtime.server.carriers import ALL, Carrier
from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import SEQUENCE, TextBackend

MEGABYTE = "x" * 1_000_000


@pytest.fixture(params=ALL)
def carrier(request: pytest.FixtureRequest) -> Carrier:
    return ALL[request.param]


def expected(carrier: Carrier, status: int) -> int:
    """By gRPC what is too large is an argument that is wrong: RESOURCE_EXHAUSTED would ask for another try."""
    return 400 if status == 413 and "grpc" in carrier.__name__ else status


@pytest.mark.parametrize(
    ("texts", "options", "refusal"),
    [
        # an option that there is not, or a value that it cannot have
        (["5"], {"topk": 1}, (400, "unknown option 'topk'; did you mean 'top_k'?")),
        (["5"], {"x" * 100_000: 1}, (400, "unknown option")),
        (["5"], {"top_k": 0}, (400, "top_k: 0 is not 1 or more")),
        (["5"], {"top_k": -1}, (400, "top_k: -1 is not 1 or more")),
        (["5"], {"top_k": 1.5}, (400, "top_k: 1.5 is not a whole number")),
        (["5"], {"top_k": "-1"}, (400, "top_k: '-1' is not a whole number")),
        (["5"], {"top_k": True}, (400, "top_k: True is not a whole number")),
        (["5"], {"top_k": ""}, (400, "top_k: '' is not a whole number")),
        (["5"], {"threshold": "nan"}, (400, "threshold: 'nan' is not a number")),
        (["5"], {"threshold": "half"}, (400, "threshold: 'half' is not a number")),
        (["5"], {"threshold": False}, (400, "threshold: False is not a number")),
        (["5"], {"id2label": "yes"}, (400, "id2label: 'yes' is neither true nor false")),
        (["5"], {"id2label": 1}, (400, "id2label: 1 is neither true nor false")),
        (["5"], {"truncate": 0.0}, (400, "truncate: 0.0 is neither true nor false")),
        (["5"], {"stride": -1}, (400, "stride: -1 is below 0")),
        (["5"], {"function_to_apply": "relu"}, (400, "function_to_apply: 'relu' is none of softmax, sigmoid, none")),
        (["5"], {"aggregation_strategy": MEGABYTE}, (400, "is none of none, simple, first, average, max")),
        (["5"], {"truncation_direction": 1}, (400, "truncation_direction: 1 is none of left, right")),
        (["5"], {"candidate_labels": ""}, (400, "candidate_labels: name one candidate at least")),
        (["5"], {"candidate_labels": " , ,"}, (400, "candidate_labels: name one candidate at least")),
        (["5"], {"candidate_labels": 7}, (400, "candidate_labels: 7 is not a list of texts")),
        (["5"], {"candidate_labels": "a," + "b" * 5000}, (400, "candidate_labels: has 5000 characters; at most 4096")),
        (["5"], {"hypothesis_template": "a cat"}, (400, "'a cat' has not one {} for the candidate")),
        (["5"], {"hypothesis_template": "{}{}"}, (400, "'{}{}' has not one {} for the candidate")),
        (["5"], {"hypothesis_template": "{}" + "b" * 5000}, (400, "hypothesis_template: has 5002 characters")),
        # more than one request may have
        (["5"] * 10_000, {}, (413, "--max_instances")),
        (["5"] * 3, {"candidate_labels": ",".join(map(str, range(1000)))}, (413, "3000 instances")),
        (["5", MEGABYTE], {}, (413, "instance 1: the text has more than 262144 bytes")),
        (["é" * 131_073], {}, (413, "instance 0: the text has more than 262144 bytes")),
        # a model that fails
        (["5", "nan"], {}, (500, "the model gave logits that are not numbers")),
        (["5", "fail"], {}, (500, "the model failed; the log says why")),
    ],
)
async def test_it_is_refused_with_a_sentence_and_others_are_answered(
    client: Client, carrier: Carrier, texts: list[str], options: dict[str, Any], refusal: tuple[int, str]
) -> None:
    status, sentence = refusal
    bad = carrier(client, texts, options, "model")
    (found, said), *others = await asyncio.gather(bad, *[client.predict("1 2 -1", "5") for _ in range(3)])
    assert found == expected(carrier, status), said
    assert sentence in said
    assert len(said) <= 501
    assert others == [[1, 0]] * 3
    assert (await carrier(client, ["5"], {}, "model"))[0] == 200
    assert await client.ask("/v2/health/live") == (200, {"live": True})


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        ([""], {}),
        ([" \n\t\x00"], {}),
        (["é" * 131_072], {}),
        ([], {}),
        (["5"] * 2048, {}),
        (["5"], {"top_k": 2**62}),
        (["5"], {"top_k": "9" * 40}),
        (["5"], {"top_k": 2.0}),
        (["5"], {"top_k": "null"}),
        (["5"], {"id2label": "False", "truncate": "1"}),
        (["5"], {"threshold": "inf"}),
        (["5"], {"threshold": 1e308}),
        (["5"], {"threshold": -1}),
        (["5"], {"candidate_labels": "a,a"}),
        (["5"], {"ignore_labels": ""}),
    ],
)
async def test_what_is_odd_and_right_is_answered(
    client: Client, carrier: Carrier, texts: list[str], options: dict[str, Any]
) -> None:
    status, said = await carrier(client, texts, options, "model")
    assert status == 200, said


async def test_another_model_is_not_found(client: Client, carrier: Carrier) -> None:
    assert await carrier(client, ["5"], {}, "other") == (404, "Model with name other does not exist.")


async def test_a_model_that_is_not_there_yet_is_not_ready(client: Client, carrier: Carrier) -> None:
    client.server.serving._facts = client.server.serving._service = None
    assert await carrier(client, ["5"], {}, "model") == (503, "Model with name model is not ready.")


@pytest.mark.parametrize("asked", [{}, {"id2label": True, "top_k": 2}])
async def test_no_text_is_no_answer(start: Start, carrier: Carrier, asked: dict[str, Any]) -> None:
    status, said = await carrier(await start(), [], asked, "model")
    assert status == 200, said


async def test_a_full_queue_is_told_and_what_waits_is_answered(start: Start, carrier: Carrier) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend, queue_tokens=10)
    computed = asyncio.create_task(client.predict("slow"))
    await asyncio.to_thread(backend.entered.wait, 20)
    waiting = asyncio.create_task(client.predict(*["5"] * 10))
    await client.metric("classifier_queue_tokens 10.0")
    status, said = await carrier(client, ["5"], {}, "model")
    assert (status, "come again" in said) == (429, True)
    backend.go.set()
    assert (await computed, await waiting) == ([0], [0] * 10)
    assert (await carrier(client, ["5"], {}, "model"))[0] == 200


async def test_who_goes_takes_the_work_along(start: Start, carrier: Carrier) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend)
    computed = asyncio.create_task(client.predict("slow"))
    await asyncio.to_thread(backend.entered.wait, 20)
    gone = asyncio.create_task(carrier(client, ["5"] * 100, {}, "model"))
    await client.metric("classifier_in_flight_requests 2.0")
    gone.cancel()
    await client.metric("classifier_in_flight_requests 1.0")
    backend.go.set()
    assert await computed == [0]
    assert (await carrier(client, ["5"], {}, "model"))[0] == 200
    assert sum(backend.seen) == 2


async def test_an_answer_that_comes_too_late_is_not_waited_for(start: Start, carrier: Carrier) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend, request_timeout_seconds=0.2)
    status, said = await carrier(client, ["slow"], {}, "model")
    backend.go.set()
    assert (status, said) == (504, "the answer would have come too late")


WRITTEN = ("שלילי", "😐 meh|\"x\": 'y'\n\0", "e\u0301toile \N{RIGHT-TO-LEFT OVERRIDE}")


@pytest.mark.parametrize("number", range(3))
async def test_labels_are_sent_as_they_are_written(start: Start, carrier: Carrier, number: int) -> None:
    client = await start(Facts("text-classification", Labels(WRITTEN, "named")))
    text = " ".join("9" if place == number else "0" for place in range(3))
    # As tensors in JSON where there is a choice, to look into them.
    asked = {"id2label": True, "top_k": 1} | ({"binary_data_output": False} if carrier is ALL["V2, binary"] else {})
    status, said = await carrier(client, [text], asked, "model")
    assert status == 200, said
    assert WRITTEN[number] in labels(said)
    assert f'classifier_label_info{{id="{number}"' in "\n".join(await client.metrics())


def labels(answer: Any) -> list[str]:
    """All labels of an answer, whatever carried it."""
    if isinstance(answer, pb.ModelInferResponse):
        raw = dict(zip((one.name for one in answer.outputs), answer.raw_output_contents, strict=False))
        if raw:
            return [one.decode() for one in v2_binary.decode(raw["labels"], 9, "")]
        return [one.decode() for tensor in answer.outputs for one in tensor.contents.bytes_contents]
    if isinstance(answer, list):
        return [one["label"] for row in answer for one in row]
    answer = answer.get("data", answer)
    if "predictions" in answer:
        return labels(answer["predictions"])
    return [str(one) for tensor in answer["outputs"] for one in tensor["data"]]
