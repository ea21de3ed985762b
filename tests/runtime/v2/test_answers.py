"""Tensors of V2: KServe's own as `output-0`, and the named ones of enhanced mode."""

from __future__ import annotations

import base64
from ast import literal_eval
from typing import Any
from uuid import UUID

import pytest

from classifier_runtime.core.serving import Facts
from tests.runtime.server.conftest import Start
from tests.runtime.server.doubles import IMAGES, MULTI, ONE, PLANE, REGRESSION, TOKENS
from tests.runtime.v2.conftest import V2, binary, tensor

A, B = "1 2 -1", "5"
SCORES = [0.2595, 0.7054, 0.0351]


def near(*values: float) -> Any:
    return pytest.approx(values, abs=1e-4)


async def test_an_answer_in_basic_mode_is_kserves(v2: V2) -> None:
    assert await v2.answer({"id": "7", "inputs": [tensor(A, B)]}) == {
        "model_name": "model",
        "id": "7",
        "outputs": [{"name": "output-0", "shape": [2], "datatype": "INT64", "data": [1, 0]}],
    }


async def test_a_request_without_an_id_gets_one(v2: V2) -> None:
    first, second = [await v2.infer(A) for _ in range(2)]
    assert UUID(first["id"]) != UUID(second["id"])


async def test_the_version_is_named_to_who_asked_for_it(v2: V2) -> None:
    answer = await v2.answer({"inputs": [tensor(A)]}, "/v2/models/model/versions/1/infer")
    assert answer["model_version"] == "1"
    status, _ = await v2.client.refused({"inputs": [tensor(A)]}, "/v2/models/model/versions/2/infer")
    assert status == 404


async def test_no_text_is_no_answer(v2: V2) -> None:
    assert await v2.outputs() == {"output-0": ([0], [])}
    assert await v2.outputs(outputs=["labels", "scores", "probabilities", "counts"]) == {
        "labels": ([0], []),
        "scores": ([0], []),
        "probabilities": ([0, 3], []),
        "counts": ([0], []),
    }


async def test_probabilities_in_basic_mode_are_texts_as_python_writes_dicts(v2: V2) -> None:
    answer = await v2.infer(A, B, return_probabilities=True)
    (output,) = answer["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2])
    assert output["data"][0] == "{0: 0.2595, 1: 0.7054, 2: 0.0351}"
    assert literal_eval(output["data"][1]).keys() == {0, 1, 2}


async def test_logits_in_basic_mode_are_such_texts_unrounded(v2: V2) -> None:
    found = await v2.outputs("1.25 2 -1", return_raw_logits=True)
    assert found == {"output-0": ([1], ["{0: 1.25, 1: 2.0, 2: -1.0}"])}


async def test_labels_and_scores_follow_the_basic_answer(v2: V2) -> None:
    answer = await v2.infer(A, B, id2label=True)
    assert [(one["name"], one["datatype"], one["shape"], one["data"]) for one in answer["outputs"]] == [
        ("output-0", "INT64", [2], [1, 0]),
        ("labels", "BYTES", [2], ["POSITIVE", "NEGATIVE"]),
        ("scores", "FP32", [2], near(0.7054, 0.9867)),
    ]


async def test_the_best_classes_are_a_row_each(v2: V2) -> None:
    found = await v2.outputs(A, B, id2label=True, top_k=2)
    assert found["label_ids"] == ([2, 2], [1, 0, 0, 1])
    assert found["labels"] == ([2, 2], ["POSITIVE", "NEGATIVE", "NEGATIVE", "POSITIVE"])
    assert found["scores"][0] == [2, 2]
    assert "counts" not in found


async def test_how_many_classes_asks_for_labels_behind_the_basic_answer(v2: V2) -> None:
    found = await v2.outputs(A, B, top_k=2)
    assert list(found) == ["output-0", "label_ids", "labels", "scores"]
    assert found["output-0"] == ([2], [1, 0])
    assert found["label_ids"] == ([2, 2], [1, 0, 0, 1])


async def test_a_single_class_is_a_row_where_its_score_is_high_enough(start: Start) -> None:
    found = await V2(await start(ONE)).outputs("2", "-2", threshold=0.5)
    assert found["output-0"] == ([2], near(0.8808, 0.1192))
    assert found["labels"] == ([2, 1], ["SPAM", ""])
    assert found["counts"] == ([2], [1, 0])


async def test_rows_of_different_lengths_are_padded_and_counted(v2: V2) -> None:
    found = await v2.outputs(A, B, id2label=True, top_k=3, threshold=0.2)
    assert found["counts"] == ([2], [2, 1])
    assert found["label_ids"] == ([2, 2], [1, 0, 0, -1])
    assert found["labels"] == ([2, 2], ["POSITIVE", "NEGATIVE", "NEGATIVE", ""])
    assert found["scores"] == ([2, 2], near(0.7054, 0.2595, 0.9867, 0))


async def test_several_labels_at_once_may_be_none(start: Start) -> None:
    v2 = V2(await start(MULTI))
    found = await v2.outputs("1 2 -1", "-1 -1 -1", id2label=True)
    assert found["output-0"] == ([2], [1, 0])
    assert found["counts"] == ([2], [2, 0])
    assert found["label_ids"] == ([2, 2], [1, 0, -1, -1])
    assert found["labels"] == ([2, 2], ["POSITIVE", "NEGATIVE", "", ""])
    assert (await v2.outputs("-1 -1 -1", id2label=True))["labels"] == ([1, 0], [])


async def test_a_regression_is_a_number_and_several_are_a_row(start: Start) -> None:
    one, two = V2(await start(REGRESSION)), V2(await start(PLANE))
    answer = await one.infer("0.75", "2")
    assert answer["outputs"] == [{"name": "output-0", "shape": [2], "datatype": "FP32", "data": [0.75, 2.0]}]
    assert await one.outputs("0.75", id2label=True) == {
        "output-0": ([1], [0.75]),
        "labels": ([1], ["LABEL_0"]),
        "scores": ([1], [0.75]),
    }
    assert await two.outputs("1 2", "3 4", id2label=True) == {
        "output-0": ([2, 2], [1, 2, 3, 4]),
        "labels": ([2, 2], ["x", "y", "x", "y"]),
        "scores": ([2, 2], [1, 2, 3, 4]),
    }


async def test_probabilities_and_logits_have_every_class(v2: V2) -> None:
    found = await v2.outputs(A, id2label=True, return_probabilities=True, return_raw_logits=True)
    assert list(found) == ["output-0", "labels", "scores", "probabilities", "logits"]
    assert found["output-0"] == ([1], [1])
    assert found["probabilities"] == ([1, 3], near(*SCORES))
    assert found["logits"] == ([1, 3], [1, 2, -1])


async def test_an_output_is_asked_for_by_its_name_and_others_are_left_out(v2: V2) -> None:
    found = await v2.outputs(A, outputs=["logits", "labels", "label_ids", "counts"])
    assert found == {
        "logits": ([1, 3], [1, 2, -1]),
        "labels": ([1], ["POSITIVE"]),
        "label_ids": ([1], [1]),
        "counts": ([1], [1]),
    }
    assert list(await v2.outputs(A, outputs=["output-0"], id2label=True)) == ["output-0"]
    assert list(await v2.outputs(A, outputs=["scores", "output-0"])) == ["scores", "output-0"]


async def test_the_classification_extension_writes_score_id_and_label(v2: V2) -> None:
    named = {"name": "output-0", "parameters": {"classification": 2}}
    (output,) = (await v2.infer(A, B, outputs=[named]))["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2, 2])
    assert [text.split(":")[1:] for text in output["data"]] == [
        ["1", "POSITIVE"],
        ["0", "NEGATIVE"],
        ["0", "NEGATIVE"],
        ["1", "POSITIVE"],
    ]
    assert float(output["data"][0].split(":")[0]) == pytest.approx(0.7054, abs=1e-4)
    many = {"name": "logits", "parameters": {"classification": 99}}
    assert await v2.outputs(A, outputs=[many]) == {
        "logits": ([1, 3], ["2.000000:1:POSITIVE", "1.000000:0:NEGATIVE", "-1.000000:2:NEUTRAL"])
    }


async def test_pairs_of_texts_are_rows_of_two_or_two_inputs(v2: V2) -> None:
    rows = {"inputs": [{**tensor([A, "x"], [B, "y"]), "shape": [2, 2]}]}
    two = {"inputs": [{**tensor(A, B), "name": "text"}, {**tensor("x", "y"), "name": "text_pair"}]}
    flat = {"inputs": [{**tensor(A, "x", B, "y"), "shape": [2, 2]}]}
    for body in (rows, two, flat):
        assert (await v2.answer(body))["outputs"][0]["data"] == [1, 0]


@pytest.mark.parametrize("shape", [[], [2], [2, 1]])
async def test_one_text_each_has_any_of_these_shapes(v2: V2, shape: list[int]) -> None:
    answer = await v2.answer({"inputs": [{**tensor(A, B), "shape": shape}]})
    assert answer["outputs"][0]["data"] == [1, 0]


async def test_candidates_come_as_an_input(v2: V2) -> None:
    names = {**tensor("sport", "art"), "name": "candidate_labels"}
    found = await v2.answer({"inputs": [tensor("1 2"), names], "parameters": {"id2label": True}})
    assert {one["name"]: one["data"] for one in found["outputs"]} == {
        "output-0": [1],
        "label_ids": [1, 0],
        "labels": ["art", "sport"],
        "scores": near(0.7311, 0.2689),
    }
    best = {"name": "output-0", "parameters": {"classification": 1}}
    found = await v2.answer({"inputs": [names, tensor("1 2")], "outputs": [best]})
    assert found["outputs"][0]["data"][0].endswith(":1:art")


async def test_tokens_are_kserves_nested_ids_padded_to_the_longest(start: Start) -> None:
    v2 = V2(await start(TOKENS, return_offsets_mapping=True))
    found = await v2.outputs("1 0 2", "2")
    assert found["output-0"] == ([2, 1, 5], [0, 1, 0, 2, 0, 0, 2, 0, 0, 0])
    assert found["offset_mapping"][0] == [2, 5, 2]
    assert found["offset_mapping"][1][:8] == [0, 0, 0, 1, 2, 3, 4, 5]
    labelled = await v2.outputs("1 0 2", "2", id2label=True)
    assert labelled["output-0"] == (
        [2, 1, 5],
        [0, 1, 0, 2, 0, 0, 2, 0, -1, -1],
    )  # padding is computed in basic mode only
    assert list(await v2.outputs("1", id2label=True)) == [
        "output-0", "label_ids", "labels", "scores", "words", "offsets", "counts",
    ]  # fmt: skip


async def test_probabilities_of_tokens_in_basic_mode_are_a_text_each(start: Start) -> None:
    v2 = V2(await start(TOKENS))
    shape, texts = (await v2.outputs("1", "1 2", return_probabilities=True))["output-0"]
    assert shape == [2, 4]
    assert texts[1] == "{0: 0.0177, 1: 0.9647, 2: 0.0177}"
    assert texts[3] == texts[0]


async def test_labelled_tokens_are_rows_with_words_and_places(start: Start) -> None:
    v2 = V2(await start(TOKENS))
    found = await v2.outputs("1 0 2", "2", "0", id2label=True, return_probabilities=True)
    assert found["counts"] == ([3], [2, 1, 0])
    assert found["label_ids"] == ([3, 2], [1, 2, 2, -1, -1, -1])
    assert found["labels"] == ([3, 2], ["B-PER", "B-LOC", "B-LOC", "", "", ""])
    assert found["words"] == ([3, 2], ["1", "2", "2", "", "", ""])
    assert found["offsets"] == ([3, 2, 2], [0, 1, 4, 5, 0, 1, 0, 0, 0, 0, 0, 0])
    assert found["probabilities"][0] == [3, 2, 3]
    assert found["probabilities"][1][:3] == near(0.0177, 0.9647, 0.0177)
    assert found["probabilities"][1][9:] == [0] * 9


async def test_entities_have_no_ids(start: Start) -> None:
    v2 = V2(await start(TOKENS))
    found = await v2.outputs("1 0 2", aggregation_strategy="simple")
    assert list(found) == ["output-0", "labels", "scores", "words", "offsets", "counts"]
    assert found["labels"] == ([1, 2], ["PER", "LOC"])
    body = {"inputs": [tensor("1")], "parameters": {"aggregation_strategy": "simple"}, "outputs": [{"name": "logits"}]}
    assert "not of entities" in await v2.refused(body)


async def test_lists_that_are_options_come_as_inputs_or_with_commas(start: Start) -> None:
    v2 = V2(await start(TOKENS))
    ignored = {**tensor("O", "B-LOC"), "name": "ignore_labels"}
    found = await v2.answer({"inputs": [tensor("1 0 2"), ignored], "outputs": [{"name": "labels"}]})
    assert found["outputs"][0]["data"] == ["B-PER"]
    assert (await v2.outputs("1 0 2", outputs=["labels"], ignore_labels="O,B-PER"))["labels"] == ([1, 1], ["B-LOC"])


async def test_images_are_base64_where_the_request_says_so(start: Start) -> None:
    v2 = V2(await start(IMAGES))
    picture = base64.b64encode(A.encode()).decode()
    said = {"content_type": "base64"}
    for body in (
        {"inputs": [tensor(picture, parameters=said)]},
        {"inputs": [tensor(picture)], "parameters": said},
        {"inputs": [tensor(f"data:image/png;base64,{picture}", parameters=said)]},
    ):
        assert (await v2.answer(body))["outputs"][0]["data"] == [1]
    assert "base64" in await v2.refused({"inputs": [tensor(picture)]})


async def test_images_are_bytes_with_the_binary_tensor_extension(start: Start) -> None:
    client = await start(IMAGES)
    element = len(A).to_bytes(4, "little") + A.encode()
    head = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(element)}}
    body, headers = binary({"inputs": [head]}, element)
    status, answer = await client.ask("/v2/models/model/infer", body, headers=headers)
    assert (status, answer["outputs"][0]["data"]) == (200, [1])


async def test_options_are_the_servers_then_the_querys_then_the_requests(start: Start) -> None:
    v2 = V2(await start(id2label=True))
    assert "labels" in await v2.outputs(A)
    assert "labels" not in await v2.outputs(A, id2label=False)
    path = "/v2/models/model/infer?id2label=false"
    assert len((await v2.answer({"inputs": [tensor(A)]}, path))["outputs"]) == 1
    asked = {"inputs": [tensor(A)], "parameters": {"id2label": True}}
    assert len((await v2.answer(asked, path))["outputs"]) == 3


async def test_a_text_that_was_cut_is_told(v2: V2) -> None:
    assert (await v2.infer("long", A))["parameters"] == {"truncated": 1}
    assert "parameters" not in await v2.infer(A)


@pytest.mark.parametrize("facts", [MULTI, REGRESSION, PLANE, TOKENS, IMAGES])
async def test_metadata_declare_every_output_and_the_labels(start: Start, facts: Facts) -> None:
    client = await start(facts)
    status, said = await client.ask("/v2/models/model")
    assert status == 200
    assert (said["name"], said["versions"]) == ("model", ["1"])
    assert said["inputs"] == [{"name": "input-0", "datatype": "BYTES", "shape": [-1]}]
    declared = {one["name"]: (one["datatype"], one["shape"]) for one in said["outputs"]}
    v2 = V2(client)
    data = [tensor("MA==", parameters={"content_type": "base64"})] if facts.images else [tensor("1 2")]
    answer = await v2.answer({"inputs": data, "outputs": [{"name": name} for name in declared]})
    for one in answer["outputs"]:
        datatype, shape = declared[one["name"]]
        assert one["datatype"] == datatype
        assert len(one["shape"]) == len(shape)
        assert all(size in (-1, real) for size, real in zip(shape, one["shape"], strict=True)), one
    assert said["properties"]["labels"].startswith('["')
    assert said["properties"]["task"] == facts.task
    assert said["properties"]["id2label_verdict"] == facts.labels.verdict
