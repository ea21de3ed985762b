"""What holds of every pod that the API server would take, from its JSON to the patch."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pullsizer.admission.caches import Caches
from pullsizer.admission.deciding import Verdict, decide_pod
from pullsizer.kserve import DEFAULT, INJECTED
from pullsizer.model import Failure, Knowledge, ModelFacts, Source
from pullsizer.modelpull import Measurement, model_status
from pullsizer.names import LIMIT_RANGER_ANNOTATION
from pullsizer.pod import Resources, resources_of
from pullsizer.pulls import pull_containers
from tests.golden.cases import NAMESPACE, Json, patched, read

HARD: Final = settings(max_examples=100, deadline=None)
AMOUNTS: Final = {  # of each resource in growing order
    "cpu": ["50m", "100m", "0.5", "1", "2", "4000m"],
    "memory": ["64Mi", "100Mi", "1e9", "1Gi", "3Gi", "12Gi", "65536Mi"],
    "ephemeral-storage": ["1Gi", "10G", "100Gi"],
    "nvidia.com/gpu": ["1"],
}
URIS: Final = (
    "hf://team/model", "s3://bucket/model", "gs://bucket/model", "https://models.example.com/m.tar.gz",
    "https://account.blob.core.windows.net/c/m", "pvc://claim/m", "ftp://host/m",
)  # fmt: skip
KSERVES: Final = {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
VARIABLES: Final = (
    "HF_HUB_ENABLE_HF_TRANSFER",
    "HF_XET_HIGH_PERFORMANCE",
    "HF_HUB_DISABLE_XET",
    "STORAGE_ALLOW_PATTERNS",
)
ANNOTATIONS: Final = {
    "pullsizer.dev/mode": ["Auto", "Recommend", "Disabled", "off"],
    "pullsizer.dev/model-size": ["15Gi", "lots"],
    "pullsizer.dev/tune": ["Auto", "Disabled"],
    "pullsizer.dev/memory-limit": ["64Mi", "2Gi", "100Gi"],
    "pullsizer.dev/memory-request": ["1Gi", "90Gi"],
    "pullsizer.dev/cpu-request": ["3"],
    "pullsizer.dev/sizing": ["{}", "nonsense", '{"version": "1", "containers": {"storage-initializer": {}}}'],
    "own": ["~1/x"],
    LIMIT_RANGER_ANNOTATION: ["LimitRanger plugin set: memory limit for init container storage-initializer"],
}  # fmt: skip
POLICIES: Final = (
    "",
    "downloader: {tune: Auto}",
    "{downloader: {tune: Auto}, bounds: {max: {memory: 1Gi, cpu: 500m}}}",
    "tiers: [{upTo: 1G, limits: {memory: 2Gi}}, {requests: {ephemeral-storage: 1Ti}}]",
    "{bounds: {min: {memory: 3Gi, cpu: '3'}}, pullTimeGoal: 10s}",
)
RANGES: Final[tuple[list[Json], ...]] = (
    [],
    [{"type": "Container", "max": {"memory": "2Gi"}, "default": {"memory": "2Gi"}}],
    [{"type": "Container", "min": {"memory": "8Gi"}}, {"type": "Pod", "max": {"cpu": "1500m"}}],
    [{"type": "Container", "maxLimitRequestRatio": {"memory": "1500m"}}],
)


@st.composite
def resources(draw: st.DrawFn) -> Json:
    """A container's, of which no request is above its limit."""
    found: Json = {"requests": {}, "limits": {}}
    for name, texts in AMOUNTS.items():
        one, other = sorted(draw(st.tuples(st.sampled_from(texts), st.sampled_from(texts))), key=texts.index)
        sides = draw(st.sampled_from(["", "requests", "limits", "both"]))
        if sides in ("requests", "both"):
            found["requests"][name] = one
        if sides in ("limits", "both") or (sides and name == "nvidia.com/gpu"):
            found["limits"][name] = other
    return {side: amounts for side, amounts in found.items() if amounts}


@st.composite
def puller(draw: st.DrawFn, name: str) -> Json:
    uris = draw(st.lists(st.sampled_from(URIS), min_size=1, max_size=3))
    own = st.dictionaries(st.sampled_from(VARIABLES), st.sampled_from(["0", "1", "*.json"]))
    environment = draw(st.just(dict(INJECTED)) | own)
    secret = draw(st.booleans())
    found: Json = {
        "name": name,
        "image": draw(st.sampled_from(["kserve/storage-initializer:v0.20.0", "own/fetcher", ""])),
        "args": [part for number, uri in enumerate(uris) for part in (uri, f"/mnt/models/{number}")],
        "resources": draw(st.just(KSERVES) | resources()),
    }
    variables: list[Json] = [{"name": key, "value": value} for key, value in environment.items()]
    if secret:
        variables.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {}}})
    if variables:
        found["env"] = variables
    if draw(st.booleans()):
        found["volumeMounts"] = [{"name": "models", "mountPath": "/mnt/models"}]
    return found


@st.composite
def pods(draw: st.DrawFn) -> Json:
    pod = read("classic-storage-uri", "pod.yaml")
    inits = [draw(puller("storage-initializer"))]
    if draw(st.booleans()):
        inits.append(draw(puller("storage-initializer-2")))
    for position in draw(st.lists(st.integers(0, 2), max_size=2)):
        sidecar: Json = {"name": f"sidecar-{len(inits)}", "restartPolicy": "Always", "resources": draw(resources())}
        inits.insert(position, sidecar)
    spec = pod["spec"]
    spec["initContainers"] = inits
    spec["containers"] = [{"name": f"app-{n}", "resources": draw(resources())} for n in range(draw(st.integers(1, 2)))]
    models = {"name": "models", "emptyDir": draw(st.sampled_from([{}, {"medium": "Memory"}, None]))}
    spec["volumes"] = [*(draw(st.sampled_from([[], spec["volumes"]]))), models]
    chosen = draw(st.sets(st.sampled_from(sorted(ANNOTATIONS)), max_size=3))
    pod["metadata"]["annotations"] = {key: draw(st.sampled_from(ANNOTATIONS[key])) for key in sorted(chosen)}
    if draw(st.booleans()):
        del pod["metadata"]["annotations"]
    return pod


FACTS = st.builds(
    lambda size, files: ModelFacts(size, files, -(-size // files)), st.integers(0, 1 << 41), st.integers(1, 500)
)
KNOWLEDGE = st.one_of(st.none(), FACTS, FACTS, st.just(Failure("NotFound", "there is no such model")))


def told(pod: Json, knowledge: Knowledge | None, policy: str, limits: list[Json]) -> Caches:
    caches = Caches()
    caches.put_accepted({"data": {"config.yaml": policy}})
    caches.put_limit_range({"metadata": {"namespace": NAMESPACE, "name": "l"}, "spec": {"limits": limits}})
    if knowledge is not None:
        sources = {source for pull in pull_containers(pod, caches.kserve) for source in pull.sources}
        models = [model_status(source, Measurement(knowledge, 1)) for source in sources]
        caches.put_model_pull({"metadata": {"namespace": NAMESPACE, "name": "m"}, "status": {"models": models}})
    return caches


ANY: Final = (pods(), KNOWLEDGE, st.sampled_from(POLICIES), st.sampled_from(RANGES))


def containers(pod: Json) -> list[tuple[str, Resources]]:
    return [(item["name"], resources_of(item)) for item in pod["spec"]["initContainers"]]


@HARD
@given(*ANY)
def test_the_patched_pod_is_valid_and_its_pull_alone_is_changed(
    pod: Json, knowledge: Knowledge | None, policy: str, limits: list[Json]
) -> None:
    caches = told(pod, knowledge, policy, limits)
    before = copy.deepcopy(pod)
    verdict = decide_pod(pod, NAMESPACE, caches)
    assert pod == before
    assert verdict.outcome != "unsafe_patch"
    assert json.loads(json.dumps(list(verdict.operations))) == list(verdict.operations)
    after = patched(pod, verdict.operations)
    pulls = {pull.name for pull in pull_containers(pod, caches.kserve)}
    for (name, was), (_, now) in zip(containers(pod), containers(after), strict=True):
        assert name in pulls or now == was
        assert all(amount <= now.limits.get(resource, amount) for resource, amount in now.requests.items())
    for item in after["spec"]["initContainers"]:
        names = [variable["name"] for variable in item.get("env") or ()]
        assert len(names) == len(set(names))
        was = next(one for one in pod["spec"]["initContainers"] if one["name"] == item["name"])
        for side, amounts in (was.get("resources") or {}).items():
            if "nvidia.com/gpu" in amounts:
                assert item["resources"][side]["nvidia.com/gpu"] == amounts["nvidia.com/gpu"]


@HARD
@given(*ANY)
def test_the_patched_pod_patched_again_gives_no_patch(
    pod: Json, knowledge: Knowledge | None, policy: str, limits: list[Json]
) -> None:
    caches = told(pod, knowledge, policy, limits)
    first = decide_pod(pod, NAMESPACE, caches)
    after = patched(pod, first.operations)
    second = decide_pod(after, NAMESPACE, caches)
    assert list(second.operations) == []
    assert decide_pod(pod, NAMESPACE, told(pod, knowledge, policy, limits)) == first


@HARD
@given(pods(), KNOWLEDGE)
def test_where_nothing_bounds_it_what_a_person_set_is_never_lowered(pod: Json, knowledge: Knowledge | None) -> None:
    pod["metadata"].pop("annotations", None)
    after = patched(pod, decide_pod(pod, NAMESPACE, told(pod, knowledge, "", [])).operations)
    for (_, was), (_, now) in zip(containers(pod), containers(after), strict=True):
        for side, before, current in (("request", was.requests, now.requests), ("limit", was.limits, now.limits)):
            for name, amount in before.items():
                if (name, side, amount) not in DEFAULT.defaults:
                    assert current[name] >= amount


PLAIN: Final = yaml.safe_dump({"waitForSize": "0s"})


def given_for(size: int, uri: str, environment: dict[str, str], image: str) -> Verdict:
    """What a pod with one file of a size gets, and nothing beside it."""
    pod = read("classic-storage-uri", "pod.yaml")
    pod["spec"]["containers"] = []
    (container,) = pod["spec"]["initContainers"]
    container |= {"args": [uri, "/mnt/models"], "image": image}
    container["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    facts = ModelFacts(size, 1, size)
    caches = told(pod, facts, PLAIN, [])
    assert Source(uri).pulled
    return decide_pod(pod, NAMESPACE, caches)


@HARD
@given(
    st.lists(st.integers(0, 1 << 42), min_size=2, max_size=2).map(sorted),
    st.sampled_from([uri for uri in URIS if not uri.startswith(("pvc", "ftp"))]),
    st.dictionaries(st.sampled_from(VARIABLES[:3]), st.sampled_from(["0", "1"])),
    st.sampled_from(["i:v0.15.0", "i:v0.18.0", "i:v0.20.0", "own"]),
)
def test_a_larger_model_never_gets_less(sizes: list[int], uri: str, environment: dict[str, str], image: str) -> None:
    found: list[Any] = [given_for(size, uri, environment, image).sizings[0].decision for size in sizes]
    smaller, larger = (decision.resources for decision in found)
    for less, more in ((smaller.requests, larger.requests), (smaller.limits, larger.limits)):
        for name, amount in less.items():
            assert more[name] >= amount, (name, found)
