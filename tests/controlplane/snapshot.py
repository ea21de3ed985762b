"""A control plane that holds KServe already: etcd's data and the CA, made once and copied for each new one.

To install KServe's CRDs costs the API server 14 to 30 s, each time anew; to start from a copy of etcd's folder costs
nothing.
"""

from __future__ import annotations

import base64
import json
import shutil
import signal
import urllib.request
from pathlib import Path
from typing import Any, Final

from . import binaries, cache, versions
from .apiserver import ApiServer
from .errors import ControlPlaneError
from .kserve import GROUP, LLM_KINDS, KServe, conversion_url
from .programs import KSERVE_KEY

_PORT: Final = 10000
"""Stands for llmisvc's in the CRDs that it converts, until a control plane writes its own there."""

_CONTENTS: Final = ("etcd", "pki")
_HERE: Final = Path(__file__).parent
_MADE_BY: Final = tuple(_HERE / name for name in ("snapshot.py", "kserve.py", "apiserver.py", "pki.py"))


def folder() -> Path:
    """The snapshot for these versions and this code, made now if need be."""
    made_from = [KSERVE_KEY, cache.hash_files(*_MADE_BY), *map(binaries.identity, ("etcd", "kube-apiserver"))]
    kept = cache.root() / f"prepared-{cache.key(*made_from)}"
    with cache.locked("prepared"):
        if not kept.exists():
            cache.say(f"installing KServe {versions.KSERVE} into etcd's data, once, about half a minute…")
            cache.drop_unused(cache.root(), "prepared-*", days=7)
            _make(kept)
    return cache.used(kept)


def copy_to(target: Path) -> None:
    """Puts a copy where a control plane starts from it."""
    shutil.copytree(folder(), target, dirs_exist_ok=True)


def set_conversion_port(etcd: str, port: int) -> None:
    """Writes llmisvc's port into the CRDs, in etcd and before the API server reads them.

    Through the API server it would take six seconds, for it works out all of their schemas anew.
    """
    for plural in LLM_KINDS:
        key = f"/registry/apiextensions.k8s.io/customresourcedefinitions/{plural}.{GROUP}".encode()
        (found,) = _ask(etcd, "range", {"key": key})["kvs"]
        value = base64.b64decode(found["value"])
        url, wanted = conversion_url(_PORT).encode(), conversion_url(port).encode()
        if url not in value:
            raise ControlPlaneError(f"the CRD {plural} in etcd does not name {url.decode()}: see snapshot.py")
        _ask(etcd, "put", {"key": key, "value": value.replace(url, wanted)})


def _ask(etcd: str, method: str, message: dict[str, bytes]) -> Any:
    """A call of etcd's JSON gateway, which takes and gives bytes as base64."""
    body = json.dumps({name: base64.b64encode(value).decode() for name, value in message.items()}).encode()
    with urllib.request.urlopen(f"{etcd}/v3/kv/{method}", data=body, timeout=10) as reply:
        return json.load(reply)


def _make(kept: Path) -> None:
    part = kept.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with ApiServer() as plane:
        KServe(plane, plane.pki.ca_bundle).install(_PORT)
        # etcd's folder is to be copied, so both have to write down all they hold.
        for name in ("kube-apiserver", "etcd"):
            plane.stop_process(name, signal.SIGTERM)
        part.mkdir()
        for name in _CONTENTS:
            shutil.move(plane.folder / name, part / name)
    part.rename(kept)
