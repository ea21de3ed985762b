"""V2 says what V1 says."""

from __future__ import annotations

from ast import literal_eval
from typing import Any

import pytest

from classifier_runtime.core.serving import Facts
from tests.runtime.server.conftest import Start
from tests.runtime.server.doubles import MULTI, PLANE, REGRESSION, SEQUENCE, TOKENS
from tests.runtime.v2.conftest import V2

TEXTS = {True: ["1 0 2", "2", "0", ""], False: ["1 2 -1", "5", "-1 -1 -1", ""]}


def rows(answer: dict[str, Any], name: str) -> list[Any]:
    """An output's data, nested as its shape says."""
    (one,) = [one for one in answer["outputs"] if one["name"] == name]
    data = one["data"]
    for size in reversed(one["shape"][1:]):
        data = [data[at : at + size] for at in range(0, len(data), size)] if size else [[]] * one["shape"][0]
    return list(data)


@pytest.mark.parametrize("facts", [SEQUENCE, MULTI, REGRESSION, PLANE, TOKENS])
async def test_ids_and_numbers_are_the_same(start: Start, facts: Facts) -> None:
    client = await start(facts)
    texts = TEXTS[facts.tokens]
    expected = await client.predict(*texts)
    assert rows(await V2(client).infer(*texts), "output-0") == expected


@pytest.mark.parametrize("option", ["return_probabilities", "return_raw_logits"])
async def test_numbers_of_all_classes_are_the_same(start: Start, option: str) -> None:
    client = await start()
    texts = TEXTS[False]
    options: dict[str, Any] = {option: True}
    expected = await client.predict(*texts, **options)
    found = rows(await V2(client).infer(*texts, **options), "output-0")
    assert [literal_eval(text) for text in found] == [
        {int(key): value for key, value in row.items()} for row in expected
    ]


@pytest.mark.parametrize("facts", [SEQUENCE, MULTI, TOKENS])
@pytest.mark.parametrize("options", [{"top_k": None, "threshold": 0.3}, {"threshold": 0.9}])
async def test_lists_of_labels_are_the_same(start: Start, facts: Facts, options: dict[str, Any]) -> None:
    client = await start(facts)
    texts = TEXTS[facts.tokens]
    options = {"id2label": True, **options}
    expected = await client.predict(*texts, **options)
    answer = await V2(client).infer(*texts, **options)
    names = {"id": "label_ids", "label": "labels", "score": "scores"}
    if facts.tokens:
        names |= {"word": "words"}
    columns = {key: rows(answer, name) for key, name in names.items()}
    found = [
        [{key: column[place][at] for key, column in columns.items()} for at in range(count)]
        for place, count in enumerate(rows(answer, "counts"))
    ]
    assert found == [
        [{**{key: one[key] for key in names}, "score": pytest.approx(one["score"], abs=1e-6)} for one in row]
        for row in expected
    ]
