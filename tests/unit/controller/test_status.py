from __future__ import annotations

from typing import Any

import pytest

from pullsizer.controller.outcomes import Outcome
from pullsizer.controller.status import HISTORY, Surroundings, recommend, status_of
from pullsizer.model import Failure, Source
from pullsizer.modelpull import Measurement, measurements, source_key
from pullsizer.overrides import NONE, Overrides
from pullsizer.policy import Policy
from tests.unit.controller.examples import FACTS

BERT = Source("hf://org/bert")
IMAGE = "kserve/storage-initializer:v0.20.0"
KNOWN = Measurement(FACTS, 1000.0)
UNKNOWN = Measurement(Failure("NotFound", "there is no such model", 900), 1000.0)


def status(*answers: Measurement | None, previous: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    sources = tuple(Source(f"hf://org/{number}") for number in range(len(answers)))
    values: dict[str, Any] = {"observed": (), "generation": 3, "endpoint": "https://hub", "now": 2000.0, **more}
    overrides = values.pop("overrides", NONE)
    decision = recommend(sources, answers, Surroundings(Policy(), overrides, image=IMAGE))
    return status_of(sources=sources, answers=answers, decision=decision, previous=previous or {}, **values)


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(item for item in found["conditions"] if item["type"] == kind)


def outcome(number: int, result: str = "Succeeded", code: int = 0) -> Outcome:
    at = f"2026-11-22T10:{number:02}:00Z"
    return Outcome(f"id-{number}", f"pod-{number}", result, code, at, at, {"limits": {"memory": "1Gi"}})  # type: ignore[arg-type]


def test_a_model_that_waits_for_the_hubs_request_limit_says_so() -> None:
    message = condition(status(None, held=True), "Measured")["message"]
    assert message.startswith("1 of 1 sources not answered yet; ")
    assert "sources.huggingFace.requestsPer5Minutes" in message


def test_a_measured_model_is_measured_and_sized() -> None:
    found = status(KNOWN)
    assert condition(found, "Measured")["status"] == "True"
    assert condition(found, "Sized") | {"message": ""} == {
        "type": "Sized",
        "status": "True",
        "reason": "Model",
        "message": "",
        "lastTransitionTime": "1970-01-01T00:33:20Z",
        "observedGeneration": 3,
    }
    assert (found["size"], found["files"], found["basis"]) == ("2.0 GB", "3", "model")
    assert "/" in found["memory"]


def test_what_is_written_is_what_a_later_process_reads() -> None:
    source = Source("hf://org/0")
    assert dict(measurements({"status": status(KNOWN)})) == {source_key(source): KNOWN}
    assert dict(measurements({"status": status(UNKNOWN)})) == {source_key(source): UNKNOWN}


def test_a_failure_is_a_reason_and_a_sentence_and_there_are_values_all_the_same() -> None:
    found = status(KNOWN, UNKNOWN)
    assert condition(found, "Measured")["status"] == "False"
    assert condition(found, "Measured")["reason"] == "NotFound"
    assert condition(found, "Sized")["reason"] == "ModelPullResources"
    assert (found["size"], found["files"]) == ("unknown", "unknown")


def test_without_all_answers_it_is_being_measured() -> None:
    found = status(KNOWN, None)
    assert condition(found, "Measured")["status"] == "Unknown"
    assert len(found["models"]) == 1


def test_an_annotated_size_stands_in() -> None:
    found = status(UNKNOWN, overrides=Overrides(model_size=10_000_000_000))
    assert found["basis"] == "model"


def test_a_time_changes_with_the_status_and_not_with_words() -> None:
    first = status(UNKNOWN, now=2000.0)
    later = status(
        Measurement(Failure("Timeout", "it took too long"), 3000.0), previous=first, now=3000.0, generation=4
    )
    assert condition(later, "Measured")["lastTransitionTime"] == condition(first, "Measured")["lastTransitionTime"]
    measured = status(KNOWN, previous=later, now=4000.0)
    assert condition(measured, "Measured")["lastTransitionTime"] == "1970-01-01T01:06:40Z"


def test_nothing_new_gives_the_very_same_status() -> None:
    first = status(KNOWN, observed=[outcome(1)])
    assert status(KNOWN, observed=[outcome(1)], previous=first, now=9999.0) == first


@pytest.mark.parametrize(
    ("result", "code", "healthy", "words"),
    [
        ("Succeeded", 0, "True", "complete"),
        ("OOMKilled", 137, "False", "limited to 1Gi"),
        ("Evicted", 137, "False", "evicted"),
        ("Failed", 1, "False", "exit code 1"),
    ],
)
def test_health_is_how_the_last_pull_ended(result: str, code: int, healthy: str, words: str) -> None:
    found = status(KNOWN, observed=[outcome(2, result, code), outcome(1)])
    assert condition(found, "PullHealthy")["status"] == healthy
    assert words in condition(found, "PullHealthy")["message"]
    assert found["health"] == result


def test_before_any_pull_ended_health_is_unknown() -> None:
    assert status(KNOWN)["health"] == "Unknown"
    assert condition(status(KNOWN), "PullHealthy")["status"] == "Unknown"


def test_history_goes_on_without_pods_is_bounded_and_counts_each_end_once() -> None:
    found: dict[str, Any] = {}
    for number in range(20):
        found = status(KNOWN, observed=[outcome(number), outcome(number)], previous=found)
    assert [item["id"] for item in found["history"]] == [f"id-{number}" for number in range(20 - HISTORY, 20)]
    assert status(KNOWN, previous=found)["history"] == found["history"]


def test_a_uri_is_written_without_what_may_be_a_secret() -> None:
    source = Source("https://user:pass@example.com/model.zip?sig=secret")
    decision = recommend((source,), [UNKNOWN], Surroundings(Policy(), image=IMAGE))
    found = status_of(
        sources=(source,),
        answers=[UNKNOWN],
        decision=decision,
        observed=(),
        previous={},
        generation=1,
        endpoint="",
        now=0.0,
    )
    assert "secret" not in str(found)
    assert "pass" not in str(found)
