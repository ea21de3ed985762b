"""What the documentation lists as answered otherwise than by KServe is answered otherwise, as it says, and is all."""

from __future__ import annotations

import json
import re
from ast import literal_eval
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier_runtime import model as models_of_ours
from classifier_runtime.errors import ModelRefused
from tests.runtime.kserve import models
from tests.runtime.kserve.asking import Answer, Ours, agree, recorded, same, without_nulls
from tests.runtime.kserve.cases import CASES, SHORT, TEXTS, v1
from tests.runtime.kserve.departures import BY_PLACE, DEPARTURES, Like
from tests.runtime.kserve.test_answers import contents, over_grpc

PAGE = Path(__file__).parents[3] / "docs" / "runtime.md"
SERVERS = sorted({place.partition("/")[0] for place in BY_PLACE})


def ours_of(server: str, *more: str) -> Ours:
    return Ours(server, models.folder(CASES[server][0].model), *more)


async def asked(ours: Ours, place: str) -> Answer:
    server, _, case = place.partition("/")
    if case == "grpc-one":
        answer = await over_grpc(ours, [SHORT])
        return Answer(0, str(contents(answer.outputs[0])), {})
    return await ours.answer(CASES[server][1][case])


def predictions(body: str) -> Any:
    return json.loads(body)["predictions"]


def test_the_list_is_the_documentations() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## What differs from KServe's own server")[2]
    assert re.findall(r"^- \*\*(.+?)\*\*", section.partition("\n## ")[0], re.MULTILINE) == list(DEPARTURES)


@pytest.mark.parametrize("server", SERVERS)
async def test_each_departure_is_really_there_and_as_we_mean_it(server: str) -> None:
    async with ours_of(server) as ours:
        for place, mean in BY_PLACE.items():
            if not place.startswith(f"{server}/"):
                continue
            found, kserves = await asked(ours, place), recorded(*place.split("/"))
            assert not agree(found, kserves), place
            if isinstance(mean, Like):
                other = recorded(*mean.place.split("/"))
                assert found.status == other.status, place
                assert same(found.body, other.body), place
            else:
                assert found.status == mean.status, (place, found)
                assert re.match(mean.body, found.body), (place, found.body)


def test_v2_says_null_where_kserve_has_nothing_to_say_and_we_say_nothing() -> None:
    body = recorded("bert", "v2-one").body
    assert body != without_nulls(body)


async def test_regression_answers_what_the_model_says() -> None:
    async with ours_of("regression-2") as ours:
        found = predictions((await ours.answer(v1(*TEXTS))).body)
    said = predictions(recorded("regression-2-logits", "v1-several").body)
    np.testing.assert_allclose(found, [list(row.values()) for row in said], rtol=0, atol=1e-4)


async def test_labels_that_do_not_exclude_each_other_are_scored_each_for_itself() -> None:
    logits = np.array([list(row.values()) for row in predictions(recorded("multi-label-logits", "v1-several").body)])
    expected = 1 / (1 + np.exp(-logits))
    async with ours_of("multi-label-probabilities") as ours:
        found = predictions((await ours.answer(v1(*TEXTS))).body)
        tensor = json.loads((await asked(ours, "multi-label-probabilities/v2-several")).body)["outputs"][0]
    np.testing.assert_allclose([list(row.values()) for row in found], expected, rtol=0, atol=1.5e-4)
    assert [literal_eval(text) for text in tensor["data"]] == [
        {int(key): value for key, value in row.items()} for row in found
    ]
    kserves = predictions(recorded("multi-label-probabilities", "v1-several").body)
    assert [sum(row.values()) for row in kserves] == pytest.approx([1] * len(TEXTS), abs=1e-3)


async def test_padding_has_no_class_beside_labels() -> None:
    """Where none are asked for, it has those that KServe answers: see test_answers."""
    body = {"inputs": CASES["bert-token"][1]["v2-several"].body["inputs"], "parameters": {"id2label": True}}
    async with ours_of("bert-token") as ours:
        request = CASES["bert-token"][1]["v2-several"]
        answer = await ours.answer(type(request)(request.path, body, request.headers))
    found = np.array(json.loads(answer.body)["outputs"][0]["data"]).reshape(len(TEXTS), -1)
    kserves = np.array(json.loads(recorded("bert-token", "v2-several").body)["outputs"][0]["data"]).reshape(found.shape)
    assert (found == -1).any()
    assert (kserves >= 0).all()
    assert (found[found >= 0] == kserves[found >= 0]).all()


async def test_half_precision_of_a_checkpoint_is_not_that_of_scores() -> None:
    """KServe computes in it; both are near what the same model says in full."""
    [full, kserves] = (
        np.array([list(row.values()) for row in predictions(recorded(server, "v1-several").body)])
        for server in ("bert-logits", "bert-half")
    )
    async with ours_of("bert-half") as ours:
        found = np.array([list(row.values()) for row in predictions((await ours.answer(v1(*TEXTS))).body)])
    np.testing.assert_allclose(found, full, rtol=0, atol=0.05)
    assert not np.array_equal(found, found.astype(np.float16))
    assert np.array_equal(kserves, kserves.astype(np.float16))


async def test_texts_that_are_cut_are_counted_in_the_answer() -> None:
    async with ours_of("roberta") as ours:
        answer = await asked(ours, "roberta/v1-long")
    assert answer.headers["x-truncated"] == "1"
    assert recorded("roberta", "v1-long").status == 500


async def test_readiness_is_false_before_the_model_has_answered() -> None:
    ours = ours_of("bert")
    await ours.server.start()
    try:
        assert not ours.server.serving.ready
        await ours.server.load()
        assert ours.server.serving.ready
    finally:
        await ours.server.close()


def test_models_that_generate_or_fill_masks_are_not_served(tmp_path: Path) -> None:
    folder = models.folder("bert")
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).symlink_to(folder / name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for architecture in ("BertForMaskedLM", "BertLMHeadModel", "BertModel"):
        (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": [architecture]}), encoding="utf-8")
        with pytest.raises(ModelRefused, match="is no classifier"):
            models_of_ours.read(tmp_path)
