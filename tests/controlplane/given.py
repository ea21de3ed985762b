"""Programs that a developer already has: etcd, kube-apiserver and kubectl in KUBEBUILDER_ASSETS, as envtest lays them.

They save the six minutes that those three take to build.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache as remember
from pathlib import Path
from typing import Final

from .errors import ControlPlaneError
from .versions import MINIMUM_KUBERNETES, parse

VERSION_FLAGS: Final = {
    "etcd": ("--version",),
    "kube-apiserver": ("--version",),
    "kubectl": ("version", "--client"),
}


@remember
def program(name: str) -> Path | None:
    """The given program of this name, or None where none is given; a Kubernetes that is too old is refused."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder or name not in VERSION_FLAGS:
        return None
    if not Path(folder).is_dir():
        raise ControlPlaneError(f"KUBEBUILDER_ASSETS is {folder}, which is no folder: correct or unset it")
    found = Path(folder).absolute() / name
    if not found.exists():
        return None
    if name != "etcd" and parse(version(name, found))[:2] < MINIMUM_KUBERNETES:
        raise ControlPlaneError(
            f"{found} is {version(name, found)}, older than {'.'.join(map(str, MINIMUM_KUBERNETES))}: "
            "give a newer one in KUBEBUILDER_ASSETS, or unset it to have one built"
        )
    return found


@remember
def version(name: str, path: Path) -> str:
    """What the program says of itself, in its first line."""
    try:
        done = subprocess.run([str(path), *VERSION_FLAGS[name]], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise ControlPlaneError(f"{path} of KUBEBUILDER_ASSETS does not run: {error}") from error
    return (done.stdout.strip().splitlines() or [""])[0]
