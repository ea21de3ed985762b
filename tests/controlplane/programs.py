"""The programs of the control plane and the object stores: which module each comes from and how it is built.

Two styles. etcd, Kubernetes and the stores are built in a small module of ours, whose go.mod and go.sum pin everything.
KServe, kwok and helm are built in their own module as published: its go.mod (with `replace` lines that only count
there) and go.sum pin the rest, so that there is nothing to copy or to keep in step; the module itself is checked
against versions.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import cache, versions
from .errors import ControlPlaneError
from .toolchain import Go
from .versions import MODULE_SUMS

MODULES: Final = Path(__file__).with_name("modules")


@dataclass(frozen=True)
class Program:
    """One program to build."""

    name: str
    package: str
    pin: str
    """What fixes the sources: the module's hash, or that of our go.mod, go.sum and sources."""
    folder: Callable[[Go], Path]
    """Where to build; fetches the module where it is not here yet."""
    takes: str
    """How long the first build takes, for the progress line."""
    linker_flags: tuple[str, ...] = ()
    patch: str = ""


def module_folder(go: Go, module: str) -> Path:
    """The published module `path@version` in Go's module cache, once its hash is the one in versions.py."""
    # The hash is compared with ours, so the public checksum database is not asked.
    done = go.run("mod", "download", "-json", module, folder=Path("/"), GOSUMDB="off", GOFLAGS="")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = {"Error": done.stderr.strip()}
    if found.get("Error"):
        raise ControlPlaneError(f"the Go module {module} cannot be fetched, see `go env GOPROXY`: {found['Error']}")
    if found["Sum"] != MODULE_SUMS[module]:
        raise ControlPlaneError(
            f"the Go module {module} has the hash {found['Sum']}, not {MODULE_SUMS[module]} as in versions.py: "
            "it is not what was reviewed, do not build it"
        )
    return Path(found["Dir"])


# KServe's webhook servers listen on every interface and have no flag for that; the address comes from the environment.
# `go build -overlay` would do without a copy, but it refuses files of the module cache.
_KSERVE = f"github.com/kserve/kserve@{versions.KSERVE}"
_KSERVE_PATCHED = ("cmd/manager/main.go", "cmd/llmisvc/main.go")
_KSERVE_BEFORE = "webhook.NewServer(webhook.Options{"
_KSERVE_AFTER = _KSERVE_BEFORE + 'Host: os.Getenv("WEBHOOK_HOST"), '
KSERVE_KEY: Final = cache.key(_KSERVE, MODULE_SUMS[_KSERVE], _KSERVE_PATCHED, _KSERVE_BEFORE, _KSERVE_AFTER)


def kserve_folder(go: Go) -> Path:
    """KServe's sources and manifests, patched, in our cache: its managers are built and installed from here."""
    kept = cache.root() / "kserve" / KSERVE_KEY
    with cache.locked("kserve"):
        if not kept.exists():
            cache.say(f"fetching KServe {versions.KSERVE}, once…")
            _copy_kserve(module_folder(go, _KSERVE), kept)
    return kept


def _copy_kserve(module: Path, target: Path) -> None:
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    # copyfile: the module cache is read-only, the copy is not to be.
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(module / name, part / name)
    for name in ("cmd", "pkg", "config", "test/crds"):
        shutil.copytree(module / name, part / name, copy_function=shutil.copyfile)
    for folder in (part, *(path for path in part.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    for name in _KSERVE_PATCHED:
        text = (part / name).read_text()
        if text.count(_KSERVE_BEFORE) != 1:
            raise ControlPlaneError(f"{name} of {_KSERVE} is not as programs.py expects: adapt the patch of its server")
        (part / name).write_text(text.replace(_KSERVE_BEFORE, _KSERVE_AFTER))
    part.rename(target)


def _ours(name: str, module: str, package: str, takes: str, *linker_flags: str) -> Program:
    folder = MODULES / module
    sources = sorted((folder / package).glob("*.go")) if package.startswith("./") else []
    pin = cache.hash_files(folder / "go.mod", folder / "go.sum", *sources)
    return Program(name, package, pin, lambda _: folder, takes, linker_flags)


def _published(name: str, module: str, package: str, takes: str) -> Program:
    return Program(name, package, MODULE_SUMS[module], lambda go: module_folder(go, module), takes)


def _kserve(name: str, package: str, takes: str) -> Program:
    return Program(name, package, MODULE_SUMS[_KSERVE], kserve_folder, takes, patch=_KSERVE_AFTER)


def _kubernetes(name: str, takes: str) -> Program:
    # Without this stamp kubectl refuses to talk about versions: "could not parse pre-release/metadata".
    major, minor, _ = versions.parse(versions.KUBERNETES)
    stamp = {"gitVersion": versions.KUBERNETES, "gitMajor": major, "gitMinor": minor}
    flags = [
        f"-X {package}.{variable}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for variable, value in stamp.items()
    ]
    return _ours(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", takes, *flags)


_CLUSTER = (
    _ours("etcd", "etcd", "go.etcd.io/etcd/server/v3", "1 minute"),
    _kubernetes("kube-apiserver", "4 minutes"),
    _kubernetes("kube-controller-manager", "1 minute"),
    _kubernetes("kube-scheduler", "half a minute"),
    _kubernetes("kubectl", "half a minute"),
    _published("kwok", f"sigs.k8s.io/kwok@{versions.KWOK}", "./cmd/kwok", "1 minute"),
    _kserve("kserve-manager", "./cmd/manager", "3 minutes"),
    _kserve("kserve-llmisvc", "./cmd/llmisvc", "half a minute"),
    _published("helm", f"helm.sh/helm/v4@{versions.HELM}", "./cmd/helm", "2 minutes"),
)
# One module for all three, so that what they share is compiled once. Their own commands have drivers for many clouds,
# which take as long again to build: the mains of ours have the one that tests use.
_STORES = (
    _ours("versitygw", "stores", "./versitygw", "half a minute"),
    _ours("fake-gcs-server", "stores", "./fake-gcs-server", "half a minute"),
    _ours("registry", "stores", "./registry", "a quarter of a minute"),
)
PROGRAMS: Final = {program.name: program for program in (*_CLUSTER, *_STORES)}
CLUSTER: Final = tuple(program.name for program in _CLUSTER)
STORES: Final = tuple(program.name for program in _STORES)
"""What a cluster does without; see tests/stores."""
