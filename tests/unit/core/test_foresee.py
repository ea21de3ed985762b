"""What `kubectl apply` of a service is warned of, from what is known by then."""

from __future__ import annotations

from typing import Any

import pytest

from pullsizer.admission.caches import Caches
from pullsizer.admission.foresee import foresee
from pullsizer.admission.review import Request
from pullsizer.model import Failure, Knowledge, ModelFacts, Source
from pullsizer.modelpull import Measurement, model_status

Json = dict[str, Any]

URI = "hf://org/large"
LARGE = ModelFacts(60_000_000_000, 20, 10_000_000_000)
SMALL = ModelFacts(200_000_000, 5, 190_000_000)
MISSING = Failure("NotFound", "the Hub knows no such model")


def service(uri: str = URI, **annotations: str) -> Json:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "llama", "namespace": "team-a", "annotations": annotations},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "huggingface"}, "storageUri": uri}}},
    }


def request(after: Json, before: Json | None = None, **changes: Any) -> Request:
    values: dict[str, Any] = {
        "api_version": "admission.k8s.io/v1",
        "uid": "u",
        "kind": "InferenceService",
        "operation": "UPDATE" if before else "CREATE",
        "namespace": "team-a",
        "object": after,
        "old_object": before or {},
        "user": "jane",
        "dry_run": False,
        "subresource": "",
    }
    return Request(**{**values, **changes})


def caches(*, knows: Knowledge | None = LARGE, quota: str = "4Gi", used: str = "0", mode: str = "Auto") -> Caches:
    found = Caches()
    found.put_accepted({"data": {"config.yaml": f"mode: {mode}"}})
    if knows is not None:
        known = {"models": [model_status(Source(URI), Measurement(knows, 1.0))]}
        found.put_model_pull({"metadata": {"namespace": "team-a", "name": "known"}, "status": known})
    if quota:
        metadata = {"namespace": "team-a", "name": "team"}
        status = {"hard": {"limits.memory": quota}, "used": {"limits.memory": used}}
        found.put_resource_quota({"metadata": metadata, "status": status})
    return found


def test_a_quota_that_leaves_too_little_is_told_before_there_is_a_pod() -> None:
    (found,) = foresee(request(service()), caches(quota="32Gi", used="28Gi"))
    assert found.startswith("ResourceQuota 'team' has 4Gi left of limits.memory, and the pull takes 12Gi")


def test_a_quota_that_is_too_small_for_the_model_is_told() -> None:
    (found,) = foresee(request(service()), caches(quota="4Gi"))
    assert "the pull is likely to need" in found


def test_a_model_that_is_known_not_to_be_there_is_told() -> None:
    found = foresee(request(service()), caches(knows=MISSING, quota=""))
    assert found == ("the size of its model is not known: the Hub knows no such model",)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (caches(knows=None, quota=""), "nobody has asked yet"),
        (caches(knows=SMALL), "it fits"),
        (caches(knows=Failure("Timeout", "slow"), quota=""), "that passes by itself"),
        (caches(mode="Disabled"), "nothing is done"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_nothing_is_said_where_nothing_stands_in_the_way(found: Caches, why: str) -> None:
    assert foresee(request(service()), found) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"before": service()},
        {"subresource": "status"},
        {"operation": "DELETE"},
        {"kind": "ConfigMap"},
    ],
)
def test_only_what_is_new_or_changed_is_looked_at(changes: Json) -> None:
    before = changes.pop("before", None)
    assert foresee(request(service(), before, **changes), caches()) == ()


@pytest.mark.parametrize("after", [service("hf://org/large"), service(**{"pullsizer.dev/mode": "Auto"})])
def test_a_changed_source_or_annotation_is_looked_at_again(after: Json) -> None:
    assert foresee(request(after, service("hf://org/other", other="x")), caches())


def test_what_would_help_helps() -> None:
    tuned = service(**{"pullsizer.dev/tune": "Auto"})
    assert foresee(request(tuned), caches()) == ()
