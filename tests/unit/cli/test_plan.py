"""`pullsizer plan`: from what people write to what their pods' pulls get."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pullsizer.model import ModelFacts, Source
from pullsizer.modelpull import Measurement, model_status
from tests.unit.cli.command import Command
from tests.unit.cli.served import serve
from tests.unit.cli.services import inference_service, llm_service, text

MODEL = json.dumps({"bytes": "59G", "files": 28, "largest": "5G"})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.json"
    path.write_text(MODEL)
    return path


def test_a_service_is_planned_from_standard_input(run: Command, model: Path) -> None:
    printed = run("plan", "-f", "-", "--model", model, stdin=text(inference_service()))
    assert printed.code == 0
    assert printed.out.startswith("default/qwen (predictor): sized\n")
    assert "59.0 GB in 28 files, largest 5.0 GB" in printed.out
    assert "has      cpu 100m…1   memory 100Mi…1Gi" in printed.out
    assert not printed.err


def test_any_number_of_services_and_pods_in_lists_and_files(run: Command, tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.json"
    one.write_text(text(inference_service(name="a"), {"kind": "List", "items": [llm_service(name="b")]}))
    pods = [{"metadata": {"name": f"p{number}"}, "spec": {}} for number in range(2)]
    other.write_text(json.dumps({"kind": "PodList", "apiVersion": "v1", "items": pods}))
    found = run("plan", "-f", one, "-f", other, "-n", "ml", "-o", "json").data["pods"]
    assert [(one["namespace"], one["pod"], one["outcome"]) for one in found] == [
        ("ml", "a-predictor", "sized"),
        ("ml", "b-kserve", "sized"),
        ("ml", "p0", "nothing_to_pull"),
        ("ml", "p1", "nothing_to_pull"),
    ]


def test_json_and_yaml_have_the_whole_decision(run: Command, model: Path) -> None:
    stdin = text(inference_service())
    found = run("plan", "-f", "-", "--model", model, "-o", "json", stdin=stdin).data
    assert yaml.safe_load(run("plan", "-f", "-", "--model", model, "-o", "yaml", stdin=stdin).out) == found
    (pod,) = found["pods"]
    assert pod["service"] == {"kind": "InferenceService", "name": "qwen", "component": "predictor"}
    (container,) = pod["containers"]
    (source,) = container["sources"]
    facts = {"bytes": 59_000_000_000, "files": 28, "largest": 5_000_000_000, "basis": "measured"}
    assert source == {"uri": "hf://team/model", **facts}
    assert container["before"]["limits"] == {"cpu": "1", "memory": "1Gi"}
    assert container["after"]["requests"]["ephemeral-storage"] == "58Gi"
    assert container["basis"] == "model"
    assert container["reasons"]
    assert {"environment", "warnings", "image"} < container.keys()
    assert pod["patch"][0]["path"] == "/spec/initContainers/0/resources"


def test_the_patch_of_one_pod_is_a_json_patch_and_of_several_one_each(run: Command, model: Path) -> None:
    one, two = inference_service(name="a"), inference_service(name="b")
    alone = run("plan", "-f", "-", "--model", model, "-o", "patch", stdin=text(one)).data
    assert [operation["op"] for operation in alone] == ["add"] * len(alone)
    both = run("plan", "-f", "-", "--model", model, "-o", "patch", stdin=text(one, two)).data
    assert both == {"default/a-predictor": alone, "default/b-predictor": alone}


def test_what_a_cluster_would_add_counts_when_it_is_in_the_files(run: Command, model: Path) -> None:
    limits = {"limits": [{"type": "Container", "max": {"memory": "2Gi"}}]}
    quota = {"hard": {"limits.memory": "1Gi"}}
    around: list[dict[str, Any]] = [
        {"kind": "LimitRange", "metadata": {"name": "l"}, "spec": limits},
        {"kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": quota, "status": {"hard": quota["hard"]}},
        {"kind": "Namespace", "metadata": {"name": "default", "annotations": {"pullsizer.dev/cpu-limit": "3"}}},
        {"kind": "Node", "metadata": {"name": "n"}, "status": {"allocatable": {"ephemeral-storage": "10Gi"}}},
        {"kind": "ConfigMap", "metadata": {"name": "pullsizer-config"}, "data": {"config.yaml": "mode: Recommend"}},
        {"kind": "ConfigMap", "metadata": {"name": "inferenceservice-config"}, "data": {
            "storageInitializer": json.dumps({"image": "own/initializer:v0.19.0", "memoryLimit": "9Gi"})}},
    ]  # fmt: skip
    found = run("plan", "-f", "-", "--model", model, "-o", "json", stdin=text(inference_service(), *around)).data
    (pod,) = found["pods"]
    assert (found["mode"], pod["outcome"]) == ("Recommend", "recommended")
    (container,) = pod["containers"]
    assert container["image"] == "own/initializer:v0.19.0"
    assert container["before"]["limits"]["memory"] == "9Gi"
    assert container["after"]["limits"] == {"cpu": "3", "memory": "1Gi"}  # all that the quota has
    assert "ephemeral-storage" not in container["after"]["requests"]


def test_what_counts_for_nothing_is_skipped_with_a_word(run: Command) -> None:
    others = [{"kind": "Deployment", "metadata": {"name": str(number)}} for number in range(2)]
    config = {"kind": "ConfigMap", "metadata": {"name": "mine"}}
    printed = run("plan", "-f", "-", stdin=text(inference_service(), *others, config))
    assert printed.code == 0
    assert "skipped Deployment: nothing of it counts for a pull (2 times)" in printed.err
    assert "skipped ConfigMap mine" in printed.err


def test_a_service_that_opted_out_is_not_asked_about(run: Command) -> None:
    labelled = inference_service()
    labelled["metadata"]["labels"] = {"pullsizer.dev/inject": "disabled"}
    (pod,) = run("plan", "-f", "-", "-o", "json", stdin=text(labelled)).data["pods"]
    assert (pod["outcome"], pod["patch"]) == ("not_asked", [])
    assert "pullsizer.dev/inject" in run("plan", "-f", "-", stdin=text(labelled)).out


def test_an_llm_services_own_annotations_count_though_its_pods_never_have_them(run: Command, model: Path) -> None:
    service = llm_service()
    service["metadata"]["annotations"] = {"pullsizer.dev/memory-limit": "20Gi"}
    (pod,) = run("plan", "-f", "-", "--model", model, "-o", "json", stdin=text(service)).data["pods"]
    assert pod["containers"][0]["after"]["limits"]["memory"] == "20Gi"


def test_a_wrong_annotation_is_told_and_left_out(run: Command) -> None:
    service = inference_service()
    service["metadata"]["annotations"] = {"pullsizer.dev/cpu-limit": "lots"}
    printed = run("plan", "-f", "-", stdin=text(service))
    assert printed.code == 0
    assert "left out  pullsizer.dev/cpu-limit: 'lots' is not a quantity" in printed.out


def test_no_resources_that_would_be_valid_is_exit_code_3(run: Command, model: Path) -> None:
    limits = [{"type": "Container", "min": {"memory": "8Gi"}}, {"type": "Container", "max": {"memory": "4Gi"}}]
    around = [
        {"kind": "LimitRange", "metadata": {"name": str(n)}, "spec": {"limits": [item]}}
        for n, item in enumerate(limits)
    ]
    printed = run("plan", "-f", "-", "--model", model, stdin=text(inference_service(), *around))
    assert printed.code == 3
    assert "left alone: no resources would be valid" in printed.out


def test_what_was_given_counts_before_what_a_model_pull_says(run: Command, model: Path) -> None:
    source = Source("hf://team/model")
    pull = {
        "kind": "ModelPull",
        "metadata": {"name": "m"},
        "spec": {"serviceRef": {"kind": "InferenceService", "name": "qwen"}},
        "status": {"models": [model_status(source, Measurement(ModelFacts(7, 1, 7), 1))]},
    }
    stdin = text(inference_service(), pull)
    assert "7 B in 1 file" in run("plan", "-f", "-", stdin=stdin).out
    assert "59.0 GB in 28 files" in run("plan", "-f", "-", "--model", model, stdin=stdin).out


# -- measuring --------------------------------------------------------------------------------------------------------


def test_stores_are_asked_only_on_demand_and_about_what_was_not_given(run: Command, tmp_path: Path) -> None:
    with serve({"/a.bin": b"x" * 1000, "/b.bin": b"y" * 2000}) as (url, asked):
        stdin = text(*[inference_service(f"{url}/{name}.bin", name=name) for name in "ab"])
        assert "size not known" in run("plan", "-f", "-", stdin=stdin).out
        assert not asked
        given = tmp_path / "given.json"
        given.write_text(json.dumps({"uri": f"{url}/a.bin", "bytes": "5G"}))
        argv = ("plan", "-f", "-", "--measure", "--allow-private", "--model", given, "-o", "json")
        pods = run(*argv, stdin=stdin).data["pods"]
        assert [pod["containers"][0]["sources"][0]["bytes"] for pod in pods] == [5_000_000_000, 2000]
        assert {path for path, _ in asked} == {"/b.bin"}


def test_what_could_not_be_measured_is_exit_code_3_and_the_plan_is_made_all_the_same(run: Command) -> None:
    with serve({"/a.bin": b"x" * 1000}) as (url, _):
        stdin = text(inference_service(f"{url}/a.bin"), inference_service(f"{url}/none.bin", name="none"))
        printed = run("plan", "-f", "-", "--measure", "--allow-private", "-o", "json", stdin=stdin)
        assert printed.code == 3
        bases = [pod["containers"][0]["basis"] for pod in printed.data["pods"]]
        assert bases == ["model", "default"]
        assert printed.data["pods"][1]["containers"][0]["sources"][0]["failure"]["reason"] == "NotFound"


def test_private_addresses_are_the_policys_to_allow(run: Command, tmp_path: Path) -> None:
    policy = tmp_path / "config.yaml"
    policy.write_text("sources: {allowCIDRs: [127.0.0.0/8]}")
    with serve({"/a.bin": b"x" * 1000}) as (url, asked):
        stdin = text(inference_service(f"{url}/a.bin"))
        refused = run("plan", "-f", "-", "--measure", stdin=stdin)
        assert refused.code == 3
        assert "not at a public address" in refused.out
        assert not asked
        assert run("plan", "-f", "-", "--measure", "--config", policy, stdin=stdin).code == 0


# -- what cannot be used ----------------------------------------------------------------------------------------------


WRONG_AMOUNT = inference_service(name="x", containers=[{"name": "proxy", "resources": {"limits": {"memory": "lots"}}}])


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        ("", "nothing to plan"),
        ("kind: LimitRange\nmetadata: {name: l}", "nothing to plan"),
        ("a: [", "not valid YAML"),
        ("- 1\n- 2", "standard input, document 1: not a Kubernetes object"),
        ("kind: List\nitems: [{kind: Pod}, 3]", "document 1, item 2"),
        ("kind: Pod\nmetadata: 7", "metadata of the Pod is not a mapping"),
        ("!!python/object:os.system {}", "not valid YAML"),
        (
            text(WRONG_AMOUNT),
            "Pod default/x-predictor is not what the API server would take: 'lots'",
        ),
        ("kind: LimitRange\nmetadata: {name: l}\nspec: {limits: 5}", "LimitRange l is not what the API server"),
        ("kind: LimitRange\nmetadata: {}\nspec: {limits: [5]}", "LimitRange  is not what the API server"),
        ("kind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: 5}", "ResourceQuota q is not what the API server"),
        ("kind: ResourceQuota\nmetadata: {name: q}\nspec: {scopes: 5}", "ResourceQuota q is not what the API server"),
        ("kind: Node\nmetadata: {name: n}\nstatus: {allocatable: [1]}", "Node n is not what the API server"),
        ("kind: Namespace\nmetadata: {name: n, labels: 5}", "Namespace n is not what the API server"),
        ("kind: Namespace\nmetadata: {}", "Namespace  is not what the API server"),
        ("kind: ClusterStorageContainer\nmetadata: {name: c}\nspec: [5]", "ClusterStorageContainer c is not what"),
        ("kind: ModelPull\nmetadata: {name: m}\nspec: 5", "ModelPull m is not what the API server"),
        ("kind: ConfigMap\nmetadata: {name: inferenceservice-config}\ndata: [5]", "ConfigMap inferenceservice-config"),
        ("kind: ConfigMap\nmetadata: {name: pullsizer-config}\ndata: [5]", "data is not a mapping"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_named(run: Command, stdin: str, says: str) -> None:
    printed = run("plan", "-f", "-", stdin=stdin)
    assert printed.code == 2
    assert says in printed.err
    assert not printed.out


def test_files_that_are_not_there_and_policies_that_would_be_refused(run: Command, tmp_path: Path) -> None:
    service, policy = tmp_path / "s.yaml", tmp_path / "config.yaml"
    service.write_text(text(inference_service()))
    policy.write_text("waitFrSize: 1s\nrefreshAfter: soon")
    missing = run("plan", "-f", tmp_path / "none.yaml")
    assert (missing.code, "no such file" in missing.err) == (2, True)
    refused = run("plan", "-f", service, "--config", policy)
    assert refused.code == 2
    assert "waitFrSize: unknown key; did you mean 'waitForSize'?" in refused.err
    assert "refreshAfter" in refused.err
    assert run("plan", "-f", "-", "--model", "-").code == 2


@pytest.mark.parametrize("kind", ["InferenceService", "LLMInferenceService", "Pod"])
@pytest.mark.parametrize(
    "spec", [None, 3, [], {"predictor": {"containers": 1}}, {"model": {"uri": 4}}, {"initContainers": [1]}]
)
def test_odd_objects_end_in_a_sentence(run: Command, kind: str, spec: Any) -> None:
    printed = run("plan", "-f", "-", stdin=text({"kind": kind, "metadata": {"name": "x"}, "spec": spec}))
    assert printed.code in (0, 2)
    assert "Traceback" not in printed.err
