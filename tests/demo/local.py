"""Containers of KServe's pods as processes of this machine, which has no kubelet to start them."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.controlplane import ControlPlane, ControlPlaneError
from tests.controlplane.daemon import CHECKOUT
from tests.controlplane.ports import HOST

IMAGE: Final = CHECKOUT / "Dockerfile.runtime"
PYTHON: Final = "RUNTIME_PY"
"""The environment variable that names the runtime's Python; `make` sets it."""


@dataclass(frozen=True)
class Local:
    """A model server that was started here.

    :param command: what was started, for people
    """

    name: str
    url: str
    command: str


def python() -> Path:
    """The Python that has what the runtime's image has."""
    found = Path(os.environ.get(PYTHON) or CHECKOUT / ".venv-runtime" / "bin" / "python")
    if not found.is_file():
        raise ControlPlaneError(f"{found} is not there: `make setup-runtime` makes it, or name another one in {PYTHON}")
    return found.absolute()


def start(plane: ControlPlane, name: str, pod: Mapping[str, Any], model: Path) -> Local:
    """Starts the pod's model server. It lives and dies with the plane; `until_ready` waits for it."""
    container = next(item for item in pod["spec"]["containers"] if item["name"] == "kserve-container")
    http = plane.free_port()
    words = command(container, model, http, plane.free_port())
    environment = {item["name"]: item["value"] for item in container.get("env", ()) if "value" in item}
    argv = [str(python()) if word == "python" else word for word in words]
    # Not as a process that gets time to finish at the end: of what is shown, nothing is lost.
    process = plane.processes.start(name, argv, environment | {"PYTHONPATH": str(CHECKOUT / "runtime")})
    url = f"http://{HOST}:{http}"
    probe = container["startupProbe"]["httpGet"]["path"]
    process.ready = lambda: plane.answers(url + probe)
    return Local(name, url, shlex.join(words))


def command(container: Mapping[str, Any], model: Path, http: int, grpc: int) -> list[str]:
    """As a kubelet would start it: the container's, and the image's where it has none; the arguments are KServe's.

    Replaced are only the model's folder, and the address: on this machine's loopback, with ports that are free.
    """
    arguments = [argument for argument in container["args"] if not argument.startswith("--model_dir=")]
    address = [f"--host={HOST}", f"--http_port={http}", f"--grpc_port={grpc}"]
    return [*(container.get("command") or entrypoint()), *arguments, f"--model_dir={model}", *address]


def until_ready(plane: ControlPlane, server: Local) -> None:
    """Until its startup probe, as the pod has it, is answered by yes."""
    plane.processes.wait_ready(plane.processes.get(server.name))


def entrypoint() -> list[str]:
    """What the runtime's image starts."""
    lines = IMAGE.read_text(encoding="utf-8").splitlines()
    found: list[str] = json.loads(next(line for line in lines if line.startswith("ENTRYPOINT")).partition(" ")[2])
    return found
