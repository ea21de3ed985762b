"""A control plane that holds KServe already: etcd's data and the CA, made once and copied for each new one.

To install KServe's CRDs costs the API server 14 to 30 s, each time anew; to start from a copy of etcd's folder costs
nothing.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Final

from . import binaries, cache, ports, versions
from .apiserver import ApiServer
from .kserve import KServe
from .programs import KSERVE_KEY

PORT_FILE: Final = "llmisvc.port"
"""Named in the CRDs that llmisvc converts, so it is part of the snapshot."""

_CONTENTS: Final = ("etcd", "pki", PORT_FILE)
_HERE: Final = Path(__file__).parent
_MADE_BY: Final = tuple(_HERE / name for name in ("snapshot.py", "kserve.py", "apiserver.py", "pki.py"))


def folder() -> Path:
    """The snapshot for these versions and this code, made now if need be."""
    made_from = [KSERVE_KEY, cache.hash_files(*_MADE_BY), *map(binaries.identity, ("etcd", "kube-apiserver"))]
    kept = cache.root() / f"prepared-{cache.key(*made_from)}"
    with cache.locked("prepared"):
        if not kept.exists():
            cache.say(f"installing KServe {versions.KSERVE} into etcd's data, once, about half a minute…")
            _make(kept)
    return kept


def copy_to(target: Path) -> None:
    """Puts a copy where a control plane starts from it."""
    shutil.copytree(folder(), target, dirs_exist_ok=True)


def _make(kept: Path) -> None:
    part = kept.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with ApiServer() as plane:
        port = ports.free_port()
        KServe(plane, plane.pki.ca_bundle).install(port)
        (plane.folder / PORT_FILE).write_text(str(port))
        # etcd's folder is to be copied, so both have to write down all they hold.
        for name in ("kube-apiserver", "etcd"):
            plane.stop_process(name, signal.SIGTERM)
        part.mkdir()
        for name in _CONTENTS:
            shutil.move(plane.folder / name, part / name)
    part.rename(kept)
