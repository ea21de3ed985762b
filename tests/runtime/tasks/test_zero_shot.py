"""Zero-shot is `transformers.pipeline("zero-shot-classification")`'s, by any model that knows entailment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from classifier_runtime.core.job import Classified
from classifier_runtime.core.labels import Labels
from classifier_runtime.errors import InvalidRequest
from classifier_runtime.tasks import zero_shot
from tests.runtime.tasks.answers import EQUAL, classified, options, outcomes, pipeline, task, texts

TEXTS = ("the team won a game", "", "money and business " * 80)
CANDIDATES = ["sport", "politics", "a very good book about science"]


@pytest.mark.parametrize("candidates", [CANDIDATES, CANDIDATES[:2], CANDIDATES[:1], ["same", "same"]])
@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("template", ["This example is {}.", "about {}"])
def test_scores_and_order_are_the_pipelines(candidates: list[str], multi_label: bool, template: str) -> None:
    said: dict[str, Any] = {
        "candidate_labels": candidates,
        "multi_label": multi_label,
        "hypothesis_template": template,
    }
    reference = pipeline("nli", "zero-shot-classification")
    for text, found in zip(TEXTS, classified("nli", *TEXTS, **said), strict=True):
        expected = reference(text or " ", **said)  # an empty text is no sequence to the pipeline
        np.testing.assert_allclose([one.score for one in found.chosen], expected["scores"], atol=EQUAL)
        assert [one.label for one in found.chosen] == expected["labels"]
        assert [candidates[one.id] for one in found.chosen] == expected["labels"]
        assert found.id == found.chosen[0].id
        assert len(found.scores) == len(found.logits) == len(candidates)


def test_top_k_and_threshold_choose_among_candidates() -> None:
    [every] = classified("nli", "a game", candidate_labels=CANDIDATES)
    assert classified("nli", "a game", candidate_labels=CANDIDATES, top_k=1)[0].chosen == every.chosen[:1]
    least = every.chosen[1].score
    assert classified("nli", "a game", candidate_labels=CANDIDATES, threshold=least)[0].chosen == every.chosen[:2]


def test_a_request_may_hold_both_kinds_of_instances() -> None:
    given = [
        *texts("good"),
        *texts("a game", candidate_labels=CANDIDATES),
        *texts(("good", "bad")),
        *texts("money", candidate_labels=["business"]),
    ]
    [plain, game, pair, money] = outcomes("nli", given)
    assert [len(one.scores) for one in (plain, game, pair, money)] == [3, 3, 3, 1]
    alone = classified("nli", "a game", candidate_labels=CANDIDATES)[0]
    assert isinstance(game, Classified)
    assert isinstance(pair, Classified)
    assert game.chosen == alone.chosen
    assert pair.chosen == classified("nli", ("good", "bad"))[0].chosen
    assert [one.label for one in alone.chosen] != ["entailment"]


def test_the_hypothesis_is_never_cut() -> None:
    [item] = task("nli").encode(texts("good " * 300, candidate_labels=["a book"])).items
    [pair] = task("nli").encode(texts(("good", "This example is a book."))).items
    hypothesis = pair.arrays["input_ids"][2:]
    assert item.tokens == 128
    assert item.arrays["input_ids"][-len(hypothesis) :].tolist() == hypothesis.tolist()


class Counting:
    """Counts the texts that are encoded for themselves, to see how much of them is needed."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.count = 0

    def encode_batch_fast(self, texts: Any, **how: Any) -> Any:
        self.count += sum(isinstance(one, str) for one in texts)
        return self.raw.encode_batch_fast(texts, **how)


def test_a_long_text_is_shortened_once_for_all_its_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer: Any = task("nli").tokenizer  # type: ignore[attr-defined] # all but images have one
    raw = Counting(tokenizer._raw)
    monkeypatch.setattr(tokenizer, "_raw", raw)

    found = task("nli").encode(texts("good " * 6000, candidate_labels=CANDIDATES))

    assert [one.tokens for one in found.items] == [128] * len(CANDIDATES)
    assert raw.count == 1


def test_a_template_is_no_format_string() -> None:
    [found] = zero_shot.pairs(texts("good", candidate_labels=["x"], hypothesis_template="{}: {:>9999999999} {0.x}")[0])
    assert found.pair == "x: {:>9999999999} {0.x}"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("contradiction", "neutral", "entailment"), 2),
        (("ENTAILMENT", "not_entailment"), 0),
        (("entails", "no"), 0),
        (("A", "B"), None),
    ],
)
def test_entailment_is_found_by_its_name(names: tuple[str, ...], expected: int | None) -> None:
    assert zero_shot.entailment(Labels(names, "named")) == expected


def test_where_entailment_comes_first_the_last_class_contradicts_it() -> None:
    asked = options(candidate_labels=["a"], multi_label=True)
    found = zero_shot.classified(
        asked, np.array([[2.0, 50.0, 1.0]], np.float32), Labels(("entailment", "neutral", "contradiction"), "named")
    )
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-1)), abs=EQUAL)


@pytest.mark.parametrize(
    ("name", "given", "said", "sentence"),
    [
        ("bert", "good", {"candidate_labels": ["a"]}, "needs a model with a label that begins with `entail`"),
        ("nli", ("a", "b"), {"candidate_labels": ["a"]}, "text_pair: zero-shot makes the second text itself"),
        ("nli", "good", {"candidate_labels": ["a"], "function_to_apply": "none"}, "function_to_apply: zero-shot has"),
        ("nli", "good", {"multi_label": True}, "multi_label: it is for zero-shot classification; give candidate_l"),
        ("nli", "good", {"hypothesis_template": "is {}"}, "hypothesis_template: it is for zero-shot"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, given: Any, said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        task(name).check(texts(given, **said)[0])
