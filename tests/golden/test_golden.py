"""A pod in, a patch out, for every shape that KServe makes.

A case is a folder: `pod.yaml`, as it reaches our webhook; `knows.yaml`, what the webhook was told before;
`expected.yaml`, what comes of it. After a change that means to change it, `PULLSIZER_GOLDEN=update` writes what is now,
for a person to read.
"""

from __future__ import annotations

import copy
import functools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import jsonpatch
import pytest
import yaml
from prometheus_client import REGISTRY

from pullsizer import __version__
from pullsizer.admission.caches import Caches
from pullsizer.admission.mutate import Mutator
from pullsizer.admission.note import MAXIMUM
from pullsizer.admission.review import Request
from pullsizer.admission.waiting import Waiters
from pullsizer.model import Failure, Knowledge, ModelFacts, Source
from pullsizer.modelpull import Measurement, model_status
from pullsizer.names import EPHEMERAL_STORAGE, SIZING
from pullsizer.quantity import parse

Json = dict[str, Any]

CASES: Final = Path(__file__).with_name("cases")
UPDATE: Final = os.environ.get("PULLSIZER_GOLDEN") == "update"
NAMESPACE: Final = "team-a"
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

pytestmark = pytest.mark.parametrize("case", sorted(folder.name for folder in CASES.iterdir() if folder.is_dir()))


def read(case: str, name: str) -> Json:
    return copy.deepcopy(_parsed(CASES / case / name))


@functools.cache
def _parsed(path: Path) -> Json:
    found = yaml.load(path.read_text(), LOADER)
    assert isinstance(found, dict)
    return found


# -- what the webhook knows -------------------------------------------------------------------------------------------


def told(knows: Mapping[str, Any]) -> Caches:
    """Caches filled as the watches fill them."""
    caches = Caches()
    if "policy" in knows:
        data = {"config.yaml": yaml.safe_dump(knows["policy"])}
        if "largest_node" in knows:
            data["largest-ephemeral-storage"] = str(parse(knows["largest_node"], EPHEMERAL_STORAGE))
        caches.put_accepted({"data": data})
    if "kserve" in knows:
        caches.put_kserve_configmap({"data": {"storageInitializer": json.dumps(knows["kserve"])}})
    for number, spec in enumerate(knows.get("storage_containers", ())):
        caches.put_storage_container({"metadata": {"name": f"own-{number}"}, "spec": spec})
    for number, limits in enumerate(knows.get("limit_ranges", ())):
        metadata = {"namespace": NAMESPACE, "name": f"range-{number}"}
        caches.put_limit_range({"metadata": metadata, "spec": {"limits": limits}})
    if "namespace_annotations" in knows:
        caches.put_namespace({"metadata": {"name": NAMESPACE, "annotations": knows["namespace_annotations"]}})
    for item in (*model_pulls(knows.get("models", ())), *services(knows.get("services", ()))):
        caches.put_model_pull(item)
    return caches


def model_pulls(models: Iterable[Mapping[str, Any]]) -> Iterable[Json]:
    for number, model in enumerate(models):
        source = Source(model["uri"], tuple(model.get("allow", ())), tuple(model.get("ignore", ())))
        knowledge: Knowledge
        if "failure" in model:
            knowledge = Failure(**model["failure"])
        else:
            knowledge = ModelFacts(model["bytes"], model["files"], model["largest"])
        yield {
            "metadata": {"namespace": model.get("namespace", NAMESPACE), "name": f"model-{number}"},
            "status": {"models": [model_status(source, Measurement(knowledge, 1_800_000_000))]},
        }


def services(found: Iterable[str | Mapping[str, Any]]) -> Iterable[Json]:
    for number, item in enumerate(found):
        service, overrides = (item, {}) if isinstance(item, str) else (item["service"], item["overrides"])
        kind, _, name = service.partition("/")
        yield {
            "metadata": {"namespace": NAMESPACE, "name": f"service-{number}"},
            "spec": {"serviceRef": {"kind": kind, "name": name}, "overrides": overrides},
        }


# -- what comes of it -------------------------------------------------------------------------------------------------


def request(pod: Json) -> Request:
    return Request(
        api_version="admission.k8s.io/v1",
        uid="00000000-0000-0000-0000-000000000000",
        kind="Pod",
        operation="CREATE",
        namespace=NAMESPACE,
        object=copy.deepcopy(pod),
        old_object={},
        user="system:serviceaccount:kube-system:replicaset-controller",
        dry_run=False,
        subresource="",
    )


async def patched(mutator: Mutator, pod: Json) -> tuple[Json, list[Json]]:
    """The pod as the API server has it afterwards, and the patch."""
    operations = [dict(operation) for operation in await mutator.operations(request(pod))]
    result = jsonpatch.apply_patch(copy.deepcopy(pod), operations)
    return result, operations


def outcomes() -> dict[str, float]:
    found = {}
    for metric in REGISTRY.collect():
        if metric.name == "pullsizer_admission_pods":
            found.update(
                {sample.labels["outcome"]: sample.value for sample in metric.samples if "_total" in sample.name}
            )
    return found


def note(pod: Json) -> Json | None:
    """Our annotation, without what changes with every version and hash."""
    text = (pod["metadata"].get("annotations") or {}).get(SIZING)
    if text is None:
        return None
    assert len(text.encode()) <= MAXIMUM
    found: Json = json.loads(text)
    assert found.pop("version") == __version__
    assert found.keys() == {"containers"}
    for item in found["containers"].values():
        assert len(bytes.fromhex(item.pop("inputs"))) == 8
    containers: Json = found["containers"]
    return containers


async def test_the_container_and_the_note_are_as_expected(case: str) -> None:
    pod = read(case, "pod.yaml")
    mutator = Mutator(told(read(case, "knows.yaml")), Waiters())
    before = outcomes()
    result, operations = await patched(mutator, pod)
    (outcome,) = (name for name, count in outcomes().items() if count != before.get(name, 0))
    found: Json = {"outcome": outcome}
    if operations:
        found["changed"] = [
            container
            for container, was in zip(result["spec"]["initContainers"], pod["spec"]["initContainers"], strict=True)
            if container != was
        ]
        found["sizing"] = note(result)
    path = CASES / case / "expected.yaml"
    if UPDATE:
        path.write_text(yaml.safe_dump(found, sort_keys=False, width=110, allow_unicode=True))
    assert found == read(case, "expected.yaml")


async def test_nothing_else_of_the_pod_is_touched(case: str) -> None:
    pod = read(case, "pod.yaml")
    result, operations = await patched(Mutator(told(read(case, "knows.yaml")), Waiters()), pod)
    assert {operation["op"] for operation in operations} <= {"add"}
    for was, container in zip(
        pod["spec"].get("initContainers", ()), result["spec"].get("initContainers", ()), strict=True
    ):
        for key in ("resources", "env", "volumeMounts"):
            was.pop(key, None)
            container.pop(key, None)
    for each in (pod, result):
        annotations = each["metadata"].get("annotations", {})
        annotations.pop(SIZING, None)
        if not annotations:
            each["metadata"].pop("annotations", None)
    assert result == pod


async def test_a_second_call_on_what_the_first_made_changes_nothing(case: str) -> None:
    caches = told(read(case, "knows.yaml"))
    result, operations = await patched(Mutator(caches, Waiters()), read(case, "pod.yaml"))
    before = outcomes()
    again, second = await patched(Mutator(caches, Waiters()), result)  # another replica may be asked
    assert second == []
    assert again == result
    if operations:
        assert outcomes()["unchanged"] == before["unchanged"] + 1


async def test_every_replica_answers_alike(case: str) -> None:
    pod, knows = read(case, "pod.yaml"), read(case, "knows.yaml")
    answers = [await patched(Mutator(told(knows), Waiters()), pod) for _ in range(2)]
    assert answers[0] == answers[1]


def test_the_case_says_which_builder_of_kserves_it_follows(case: str) -> None:
    first = (CASES / case / "pod.yaml").read_text().partition("\n")[0]
    assert first.startswith("# Follows KServe v0.20.0, pkg/")
