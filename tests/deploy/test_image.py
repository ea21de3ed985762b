"""Dockerfile.operator. No engine builds it here: its steps are replayed in folders that stand for the image's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from .manifests import Manifests
from .render import ROOT

DOCKERFILE = ROOT / "Dockerfile.operator"
INSTALLED = "/opt/pullsizer"
MEBIBYTE = 1 << 20


class Step(NamedTuple):
    """One instruction of a Dockerfile."""

    word: str
    rest: str


def stages() -> list[list[Step]]:
    """The instructions of each stage, from its FROM on."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[list[Step]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        step = Step(*line.split(None, 1))
        if step.word == "FROM":
            found.append([])
        found[-1].append(step)
    return found


BUILD, IMAGE = stages()


def rest_of(stage: list[Step], word: str) -> list[str]:
    return [step.rest for step in stage if step.word == word]


def test_both_stages_have_the_same_slim_python_of_one_minor_version() -> None:
    bases = [stage[0].rest.split()[0] for stage in (BUILD, IMAGE)]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases[0])


def test_only_what_was_installed_goes_into_the_image() -> None:
    assert rest_of(IMAGE, "COPY") == [f"--from=build {INSTALLED} {INSTALLED}"]
    assert not rest_of(IMAGE, "RUN")
    assert not rest_of(IMAGE, "ADD") + rest_of(BUILD, "ADD")


def test_the_image_runs_as_a_user_with_a_number_and_starts_pullsizer() -> None:
    (user,) = rest_of(IMAGE, "USER")
    assert all(int(number) > 1000 for number in user.split(":"))
    assert rest_of(IMAGE, "ENTRYPOINT") == ['["pullsizer"]']
    assert not rest_of(IMAGE, "CMD")


def test_it_writes_nowhere_but_to_the_volume_that_the_deployments_mount() -> None:
    (environment,) = rest_of(IMAGE, "ENV")
    values = dict(item.split("=", 1) for item in environment.split())
    assert values["PYTHONDONTWRITEBYTECODE"] == "1"
    for container in Manifests.load().containers():
        assert values["HOME"] in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_nothing_is_fetched_but_pinned_packages_from_the_configured_index() -> None:
    assert "://" not in DOCKERFILE.read_text()
    installs = [command for command in rest_of(BUILD, "RUN") if " install " in command]
    assert installs
    assert all("--constraint constraints.txt" in command for command in installs)


def test_the_build_is_given_what_it_copies() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[0] == "*"
    for rest in rest_of(BUILD, "COPY"):
        for source in rest.split()[:-1]:
            assert f"!{source}" in ignore
            assert (ROOT / source).exists()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The virtual environment that the build stage's own commands make, with the interpreter of these tests."""
    source, target = tmp_path_factory.mktemp("src"), tmp_path_factory.mktemp("opt") / "pullsizer"
    # PYTHONPATH would show the tests' packages to what must do without them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for word, rest in BUILD:
        if word == "COPY":
            *files, folder = rest.split()
            for name in files:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / name, source / folder)
        elif word == "RUN":
            command = rest.replace(INSTALLED, str(target))
            command = re.sub(r"^pip ", f"{sys.executable} -m pip ", command)
            command = re.sub(r"^python ", f"{sys.executable} ", command)
            done = subprocess.run(
                command, shell=True, cwd=source, env=environment, capture_output=True, text=True, check=False
            )
            if re.search(r"NewConnectionError|ConnectionError|Temporary failure in name resolution", done.stderr):
                reason = "the package index cannot be reached, so what the image installs was not tried"
                pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return target


def run(installed: Path, *command: str) -> str:
    """With the image's environment, from a folder that is not the repository."""
    environment = {"PATH": f"{installed}/bin", "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pullsizer_starts_with_the_operator_s_packages_alone(installed: Path) -> None:
    usage = run(installed, f"{installed}/bin/pullsizer", "--help")
    assert "webhook" in usage
    assert "controller" in usage


def test_every_module_of_the_product_can_be_imported_in_the_image(installed: Path) -> None:
    code = (
        "import importlib, pkgutil, pullsizer\n"
        "for found in pkgutil.walk_packages(pullsizer.__path__, 'pullsizer.'):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        importlib.import_module(found.name)\n"
        "print(pullsizer.__file__)"
    )
    assert run(installed, f"{installed}/bin/python", "-c", code).startswith(str(installed))


def test_the_image_holds_no_torch_no_tests_and_no_installer(installed: Path) -> None:
    (packages,) = installed.glob("lib/python3.*/site-packages")
    names = {folder.name.lower() for folder in packages.iterdir()}
    assert not names & {"torch", "transformers", "pip", "pytest", "mypy", "ruff", "hypothesis", "classifier_runtime"}
    assert {"aiohttp", "kopf", "pullsizer"} <= names


def test_the_image_stays_small(installed: Path) -> None:
    size = sum(file.lstat().st_size for file in installed.rglob("*") if not file.is_symlink())
    # 241 MiB when written, of which the Kubernetes client is 126, obstore 16, and Pygments, which rich wants, 10.
    assert size < 260 * MEBIBYTE
