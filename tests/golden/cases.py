"""The cases: a folder each, and how admission is told what is in it.

`pod.yaml` is the pod as it reaches our webhook; `model.json`, `config.yaml` and `cluster.yaml` are what is known by
then, in the formats of `pullsizer plan --model`, `--config` and `-f`; `expected.yaml` is what comes of it.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import jsonpatch
import yaml

from pullsizer import __version__
from pullsizer.admission.caches import Caches
from pullsizer.admission.deciding import Verdict, decide_pod
from pullsizer.admission.note import MAXIMUM
from pullsizer.model import Failure, Knowledge, ModelFacts, Source
from pullsizer.modelpull import Measurement, model_status
from pullsizer.names import SIZING
from pullsizer.pulls import pull_containers
from pullsizer.quantity import parse

Json = dict[str, Any]

FOLDER: Final = Path(__file__).parent
CASES: Final = sorted(path.parent.name for path in FOLDER.glob("*/pod.yaml"))
NAMESPACE: Final = "team-a"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(case: str, name: str) -> Json:
    (found,) = documents(case, name)
    return found


def documents(case: str, name: str) -> list[Json]:
    path = FOLDER / case / name
    return copy.deepcopy(_parsed(path)) if path.exists() else []


@functools.cache
def _parsed(path: Path) -> list[Json]:
    return list(yaml.load_all(path.read_text(), _LOADER))


# -- what the webhook knows -------------------------------------------------------------------------------------------


def told(case: str) -> Caches:
    """Caches filled as the watches fill them."""
    caches = Caches()
    data = {"config.yaml": (FOLDER / case / "config.yaml").read_text()}
    put: dict[str, Callable[[Json], None]] = {
        "LimitRange": caches.put_limit_range,
        "ResourceQuota": caches.put_resource_quota,
        "Namespace": caches.put_namespace,
        "ClusterStorageContainer": caches.put_storage_container,
        "ModelPull": caches.put_model_pull,
        "ConfigMap": caches.put_kserve_configmap,
    }
    for item in documents(case, "cluster.yaml"):
        if item["kind"] == "Node":  # which the controller reads; the webhook is told the largest
            for resource, text in item["status"]["allocatable"].items():
                key = f"largest-{resource}"
                data[key] = max(text, data.get(key, "0"), key=lambda amount: parse(amount, "memory"))
        else:
            put[item["kind"]](item)
    caches.put_accepted({"data": data})
    for item in _model_pulls(case, caches):
        caches.put_model_pull(item)
    return caches


def _model_pulls(case: str, caches: Caches) -> Iterator[Json]:
    found = json.loads((FOLDER / case / "model.json").read_text())
    for number, model in enumerate(found if isinstance(found, list) else [found]):
        if "uri" in model:
            sources = [Source(model.pop("uri"), tuple(model.pop("allow", ())), tuple(model.pop("ignore", ())))]
        else:  # of whatever is pulled
            pulls = pull_containers(read(case, "pod.yaml"), caches.kserve)
            sources = [source for pull in pulls for source in pull.sources]
        knowledge: Knowledge
        if failure := model.pop("failure", None):
            knowledge = Failure(failure["reason"], failure["message"], failure["retryAfter"])
        else:
            knowledge = ModelFacts(**model)
        yield {
            "metadata": {"namespace": NAMESPACE, "name": f"model-{number}"},
            "status": {"models": [model_status(source, Measurement(knowledge, 1_800_000_000)) for source in sources]},
        }


# -- what comes of it -------------------------------------------------------------------------------------------------


def decided(case: str) -> tuple[Json, Verdict]:
    pod = read(case, "pod.yaml")
    return pod, decide_pod(pod, NAMESPACE, told(case))


def patched(pod: Json, operations: Any) -> Json:
    """The pod as the API server has it after a patch."""
    result: Json = jsonpatch.apply_patch(copy.deepcopy(pod), [dict(operation) for operation in operations])
    return result


def outcome(case: str) -> Json:
    """What `expected.yaml` has."""
    pod, verdict = decided(case)
    found: Json = {"outcome": verdict.outcome}
    if verdict.operations:
        result = patched(pod, verdict.operations)
        found["changed"] = [
            container
            for container, was in zip(result["spec"]["initContainers"], pod["spec"]["initContainers"], strict=True)
            if container != was
        ]
        found["sizing"] = note(result)
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
