"""Dockerfile.runtime, read: torch and what comes with it are gigabytes, so nothing of them is installed here."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from .render import ROOT, documents, kustomize

DOCKERFILE = ROOT / "Dockerfile.runtime"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (ROOT / "constraints-runtime.txt").read_text()
TARGETS = ("openvino", "torch")


class Stage(NamedTuple):
    """Of a Dockerfile.

    :param base: another stage's name, or an image
    :param steps: instructions, each a word and the rest
    """

    base: str
    steps: list[tuple[str, str]]

    def rest_of(self, word: str) -> list[str]:
        return [rest for found, rest in self.steps if found == word]


def stages() -> dict[str, Stage]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    name = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        word, rest = line.split(None, 1)
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = Stage(base, [])
        else:
            found[name].steps.append((word, rest))
    return found


STAGES = stages()


def chain(target: str) -> list[Stage]:
    """A target, and the stages that it is built on."""
    stage = STAGES[target]
    return [stage, *(chain(stage.base) if stage.base in STAGES else [])]


def steps(target: str, word: str) -> list[str]:
    return [rest for stage in chain(target) for rest in stage.rest_of(word)]


def wanted(extra: str) -> set[str]:
    """The packages of an extra, and of the extras that it is made of."""
    found: set[str] = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        own = re.fullmatch(r"pullsizer\[(.*)\]", requirement)
        names = own[1].split(",") if own else []
        found |= {name for inner in names for name in wanted(inner)} or {re.split(r"[^\w.-]", requirement)[0].lower()}
    return found


def installed(target: str) -> set[str]:
    """What its packages are installed for."""
    (install,) = [command for command in STAGES[f"packages-{target}"].rest_of("RUN") if " install " in command]
    extras = re.search(r'"\.\[(.*?)\]"', install)
    assert extras
    return {name for extra in extras[1].split(",") for name in wanted(extra)}


def test_the_whole_image_with_torch_is_what_a_build_without_a_target_makes() -> None:
    assert list(STAGES)[-1] == "torch"


def test_all_stages_have_the_same_slim_python_of_one_minor_version() -> None:
    bases = {stage.base for stage in STAGES.values()} - STAGES.keys()
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases.pop())


@pytest.mark.parametrize("target", TARGETS)
def test_only_packages_and_the_runtime_s_own_code_go_into_an_image(target: str) -> None:
    assert steps(target, "COPY") == [
        f"--from=packages-{target} /opt/packages /opt/packages",
        "--from=code /opt/runtime /opt/runtime",
    ]
    assert not steps(target, "RUN") + steps(target, "ADD")


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_a_user_with_a_number_and_starts_the_runtime(target: str) -> None:
    (user,) = steps(target, "USER")
    assert all(int(number) > 1000 for number in user.split(":"))
    assert steps(target, "ENTRYPOINT") == ['["python", "-m", "classifier_runtime"]']
    # KServe's probes are HTTP; an engine's own would be asked by nobody.
    assert not steps(target, "CMD") + steps(target, "HEALTHCHECK")


@pytest.mark.parametrize("target", TARGETS)
def test_it_writes_nowhere_but_to_the_volume_that_the_serving_runtime_mounts(target: str) -> None:
    values = dict(item.split("=", 1) for rest in steps(target, "ENV") for item in rest.split())
    (runtime,) = documents(kustomize(ROOT / "deploy" / "components" / "runtime"))
    (container,) = runtime["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert values["HOME"] in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert values["HF_HOME"].startswith(values["HOME"])
    assert values["PYTHONDONTWRITEBYTECODE"] == "1"


def test_nothing_is_fetched_but_pinned_packages_from_the_configured_index() -> None:
    assert "://" not in DOCKERFILE.read_text()
    installs = [rest for stage in STAGES.values() for rest in stage.rest_of("RUN") if " install " in rest]
    assert len(installs) == len(TARGETS)
    assert all("--constraint constraints-runtime.txt" in command for command in installs)
    pinned = {re.sub(r"[._]", "-", name.lower()) for name in re.findall(r"^([\w.-]+)==", CONSTRAINTS, re.MULTILINE)}
    # setuptools is torch's own wish, and `pip freeze` does not tell of it.
    assert {"setuptools", *installed("torch"), *installed("openvino")} <= pinned


def test_the_image_without_torch_has_all_but_torch_and_what_only_exports_need() -> None:
    assert installed("torch") - installed("openvino") == {"torch", "transformers", "nncf"}
    assert installed("openvino") <= installed("torch")
    assert "openvino" in installed("openvino")


def test_the_build_is_given_what_it_copies() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[0] == "*"
    copies = [rest for stage in STAGES.values() for rest in stage.rest_of("COPY") if not rest.startswith("--from=")]
    assert copies
    for rest in copies:
        for source in rest.split()[:-1]:
            assert f"!{source}" in ignore
            assert (ROOT / source).exists()


def test_what_tools_leave_beside_the_code_is_in_no_image() -> None:
    assert {"**/__pycache__", "**/.*_cache"} <= {*(ROOT / ".dockerignore").read_text().splitlines()}


def test_the_component_s_image_has_the_version_of_the_operator_s() -> None:
    (runtime,) = documents(kustomize(ROOT / "deploy" / "components" / "runtime"))
    operator = documents(kustomize(ROOT / "deploy" / "base"))
    (version,) = {
        item["spec"]["template"]["spec"]["containers"][0]["image"].partition(":")[2]
        for item in operator
        if item["kind"] == "Deployment"
    }
    image = runtime["spec"]["containers"][0]["image"]
    assert image == f"pullsizer-classifier:{version}"
    assert f"-t {image} ." in DOCKERFILE.read_text()


@pytest.mark.parametrize("engine", ["docker", "podman", "buildah"])
def test_make_builds_both_targets_with_the_engine_that_is_there(engine: str, tmp_path: Path) -> None:
    for name in ("docker", "podman", "buildah"):
        fake = tmp_path / name
        fake.write_text("#!/bin/sh\n" + ("true" if name == engine else "exit 1"))
        fake.chmod(0o755)
    done = subprocess.run(
        ["make", "--silent", "runtime-image", "RUNTIME_IMAGE=r.example.com/c:1"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(done.stdout.splitlines()) == [
        f"{engine} build --file Dockerfile.runtime --target openvino --tag r.example.com/c:1-openvino .",
        f"{engine} build --file Dockerfile.runtime --target torch --tag r.example.com/c:1 .",
    ]


def test_both_targets_can_send_traces() -> None:
    assert wanted("runtime-tracing") <= installed("openvino") & installed("torch")
