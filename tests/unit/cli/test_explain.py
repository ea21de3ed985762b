"""`pullsizer explain`: back from the annotation to words, and why there may be none."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pullsizer.names import SIZING
from tests.golden.cases import decided, patched, read
from tests.unit.cli.command import Command
from tests.unit.cli.served import serve
from tests.unit.cli.services import text

NAME = "qwen-predictor-6c9f7d5b8-x2x9k"
PODS = "/api/v1/namespaces/team-a/pods"
ACCEPTED = "/api/v1/namespaces/pullsizer-system/configmaps/pullsizer-config-accepted"


@pytest.fixture(scope="module")
def sized() -> dict[str, Any]:
    pod, verdict = decided("classic-storage-uri")
    pod["metadata"]["name"] = NAME
    return patched(pod, verdict.operations)


@pytest.fixture
def unsized() -> dict[str, Any]:
    pod = read("classic-storage-uri", "pod.yaml")
    pod["metadata"]["name"] = NAME
    return pod


def test_a_sized_pod_is_told_what_it_had_what_it_got_and_why(run: Command, sized: dict[str, Any]) -> None:
    printed = run("explain", "-f", "-", stdin=text(sized))
    assert printed.code == 0
    head, name, *lines = printed.out.splitlines()
    assert head.startswith(f"team-a/{NAME}, predictor of InferenceService qwen: sized by Pullsizer ")
    assert name.strip() == "storage-initializer"
    words = [line.split()[0] for line in lines]
    assert words[:4] == ["had", "got", "by", "because"]
    assert "cpu 100m…1   memory 100Mi…1Gi" in lines[0]
    assert lines[2].endswith("  the model")
    note = json.loads(sized["metadata"]["annotations"][SIZING])
    assert note["containers"]["storage-initializer"]["why"][0] in printed.out


def test_programs_get_the_annotation_itself(run: Command, sized: dict[str, Any]) -> None:
    found = run("explain", "-f", "-", "-o", "json", stdin=text(sized)).data
    assert found["sizing"] == json.loads(sized["metadata"]["annotations"][SIZING])
    assert found["notSized"] == []


def test_what_was_changed_since_and_what_is_another_pods_is_told(run: Command, sized: dict[str, Any]) -> None:
    changed = copy.deepcopy(sized)
    changed["spec"]["initContainers"][0]["resources"]["limits"]["memory"] = "7Gi"
    assert "has now" in run("explain", "-f", "-", stdin=text(changed)).out
    copied = copy.deepcopy(sized)
    copied["spec"]["initContainers"][0]["name"] = "other"
    assert "no such container" in run("explain", "-f", "-", stdin=text(copied)).out


def test_one_pod_of_many_is_named(run: Command, sized: dict[str, Any], unsized: dict[str, Any]) -> None:
    unsized["metadata"]["name"] = "other"
    stdin = text(sized, unsized)
    assert run("explain", "-f", "-", stdin=stdin).code == 2
    assert run("explain", NAME, "-f", "-", stdin=stdin).code == 0
    assert run("explain", "other", "-f", "-", stdin=stdin).code == 3
    assert "no such pod" in run("explain", "third", "-f", "-", stdin=stdin).err


@pytest.mark.parametrize(
    ("change", "around", "says"),
    [
        ({"labels": {"pullsizer.dev/inject": "disabled"}}, (), "the pod has the label"),
        ({"labels": {}}, (), "the pod is of no service of KServe's"),
        ({}, ({"kind": "Namespace", "metadata": {"name": "team-a", "labels": {"pullsizer.dev/inject": "disabled"}}},),
         "the namespace team-a has the label"),
        ({"annotations": {"pullsizer.dev/mode": "Disabled"}}, (), "the mode is Disabled"),
        ({"annotations": {"pullsizer.dev/mode": "Recommend"}}, (), "the mode is Recommend"),
        ({"annotations": {"pullsizer.dev/cpu-limit": "lots"}}, (), "left out of the decision: pullsizer.dev/cpu-limit"),
        ({"annotations": {SIZING: "nonsense"}}, (), "is not one that Pullsizer wrote"),
        ({}, ({"kind": "ConfigMap", "metadata": {"name": "pullsizer-config-accepted"},
               "data": {"config.yaml": "namespaces: {include: [team-b]}"}},), "the policy does not select it"),
        ({}, (), "nothing keeps a new pod like it from being sized now"),
    ],
)  # fmt: skip
def test_a_pod_that_was_not_sized_is_told_why(
    run: Command, unsized: dict[str, Any], change: dict[str, Any], around: tuple[dict[str, Any], ...], says: str
) -> None:
    unsized["metadata"] |= change
    printed = run("explain", NAME, "-f", "-", stdin=text(unsized, *around))
    assert printed.code == 3
    assert f"team-a/{NAME}: not sized by Pullsizer" in printed.out
    assert says in printed.out


def test_a_pod_without_a_pull_is_told_what_it_has_instead(run: Command) -> None:
    printed = run("explain", "-f", "-", stdin=text(read("modelcar", "pod.yaml")))
    assert "nothing in it pulls a model (its init containers are modelcar-init)" in printed.out


# -- in a cluster -----------------------------------------------------------------------------------------------------


def kubeconfig(folder: Path, url: str, namespace: str = "team-a") -> Path:
    path = folder / "kubeconfig"
    context = {"cluster": "c", "user": "u", "namespace": namespace}
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "sesame"}}],
        "contexts": [{"name": "x", "context": context}],
    }  # fmt: skip
    path.write_text(json.dumps(config))
    return path


def answers(pod: Mapping[str, Any], **more: Any) -> dict[str, bytes | int]:
    return {f"{PODS}/{NAME}": json.dumps(pod).encode(), **more}


def test_a_live_pod_is_read_in_the_kubeconfigs_namespace(run: Command, tmp_path: Path, sized: dict[str, Any]) -> None:
    with serve(answers(sized)) as (url, asked):
        printed = run("explain", NAME, "--kubeconfig", kubeconfig(tmp_path, url))
        assert printed.code == 0, printed.err
        assert "sized by Pullsizer" in printed.out
        assert [path for path, _ in asked] == [f"{PODS}/{NAME}"]
        missing = run("explain", "none", "--kubeconfig", kubeconfig(tmp_path, url))
        assert (missing.code, missing.err) == (1, "pullsizer: there is no pod none in namespace team-a\n")


def test_several_kubeconfigs_count_as_one_as_for_kubectl(
    run: Command, tmp_path: Path, sized: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(answers(sized)) as (url, asked):
        whole = json.loads(kubeconfig(tmp_path, url).read_text())
        other = {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "other"}}
        parts: dict[str, dict[str, Any]] = {
            "users": {"users": whole["users"]},
            "empty": {},
            "contexts": {"contexts": whole["contexts"], "current-context": "x"},
            "clusters": {"clusters": whole["clusters"], "contexts": [other], "current-context": "y"},
        }
        for name, part in parts.items():
            (tmp_path / name).write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **part}) if part else "")
        paths = [tmp_path / "missing", *(tmp_path / name for name in parts)]
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))
        printed = run("explain", NAME)
        assert printed.code == 0, printed.err
        ((path, headers),) = asked
        assert path == f"{PODS}/{NAME}"
        assert {name.lower(): value for name, value in headers.items()}["authorization"] == "Bearer sesame"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no kubeconfig"),
        ("", "there is no kubeconfig"),
        ("a: [", "is no kubeconfig"),
        ("[1]", "is no kubeconfig"),
        ("{current-context: x, contexts: [5]}", "is no kubeconfig"),
        ("{current-context: x, contexts: [{name: x, context: 5}]}", "is no kubeconfig"),
        ("{current-context: x}", "no way to reach a cluster"),
    ],
)
def test_what_is_no_kubeconfig_is_said_to_be_none(run: Command, tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "k"
    if content is not None:
        path.write_text(content)
    printed = run("explain", NAME, "--kubeconfig", path)
    assert printed.code == 1
    assert says in printed.err


def test_a_live_pod_that_was_not_sized_is_judged_by_what_may_be_read(
    run: Command, tmp_path: Path, unsized: dict[str, Any]
) -> None:
    refused: dict[str, bytes | int] = {"/api/v1/namespaces/team-a": 403}
    with serve({**answers(unsized), **refused}) as (url, _):
        out = run("explain", NAME, "--kubeconfig", kubeconfig(tmp_path, url)).out
    assert "no policy was accepted yet" in out
    assert "the mode is Recommend" in out
    assert "namespace team-a could not be read: " in out
    accepted = json.dumps(
        {"metadata": {"name": "pullsizer-config-accepted"}, "data": {"config.yaml": "mode: Disabled"}}
    )
    with serve({**answers(unsized), ACCEPTED: accepted.encode()}) as (url, _):
        out = run("explain", NAME, "--kubeconfig", kubeconfig(tmp_path, url)).out
    assert "the mode is Disabled" in out


def test_without_a_cluster_it_says_how_to_name_one(run: Command) -> None:
    printed = run("explain", NAME)
    assert printed.code == 1
    assert "name a kubeconfig by --kubeconfig" in printed.err
