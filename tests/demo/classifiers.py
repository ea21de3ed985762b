"""The end of the demo: classifiers on KServe with the runtime `pullsizer-classifier`, served here and asked."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.controlplane import ControlPlane, ControlPlaneError
from tests.controlplane.daemon import CHECKOUT
from tests.demo import local
from tests.demo.asking import Request, ask, expect

SERVICES: Final = Path(__file__).with_name("classifiers.yaml")
COMPONENT: Final = CHECKOUT / "deploy" / "components" / "runtime"
MODELS: Final = {"sentiment": "minilm", "digits": "vit"}
"""By service, as tests/models names them."""
TEXTS: Final = {
    "a moving and beautifully acted film": "POSITIVE",
    "dull, lazy and far too long": "NEGATIVE",
}
DIGIT: Final = "seven"


@dataclass(frozen=True)
class Models:
    """By service.

    :param plain: as the Hub has them
    :param exported: what is served
    """

    plain: Mapping[str, Path]
    exported: Mapping[str, Path]

    def repositories(self) -> dict[str, Path]:
        """What the stand-in for the Hub is to have."""
        return {f"demo/{MODELS[service]}": folder for service, folder in self.exported.items()}


def models() -> Models:
    """Both, made now if need be: three minutes, once, with lines of progress."""
    return Models(_folders(), _folders("--exported"))


def _folders(*flags: str) -> dict[str, Path]:
    command = [str(local.python()), "-m", "tests.models", *MODELS.values(), *flags]
    path = os.pathsep.join([str(CHECKOUT / "runtime"), str(CHECKOUT)])
    done = subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise ControlPlaneError(f"no models to serve: `{' '.join(command[1:])}` ended with {done.returncode}")
    return dict(zip(MODELS, map(Path, done.stdout.splitlines()), strict=True))


def install(plane: ControlPlane) -> None:
    """The ClusterServingRuntime, as `kubectl apply -k` of an overlay with the component would."""
    overlay = plane.folder / "classifiers"
    overlay.mkdir()
    here = os.path.relpath(COMPONENT.resolve(), overlay.resolve())
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump({"components": [here]}))
    plane.apply([item for item in yaml.safe_load_all(plane.kubectl("kustomize", str(overlay))) if item])


def services() -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all(SERVICES.read_text()) if item]


def ask_all(servers: list[local.Local], made: Models) -> None:
    """:raises ControlPlaneError: an answer is wrong"""
    sentiment, digits = servers
    text(sentiment)
    image(digits, made.plain["digits"] / "examples" / f"{DIGIT}.png")


def text(server: local.Local) -> None:
    """Asks for ids, then for labels.

    :raises ControlPlaneError: an answer is wrong
    """
    url = f"{server.url}/v1/models/{server.name}:predict"
    ids = {"POSITIVE": 1, "NEGATIVE": 0}
    instances = {"instances": list(TEXTS)}
    said = ask(Request(url, json.dumps(instances).encode()))
    expect("the texts", said["predictions"], [ids[label] for label in TEXTS.values()])
    said = ask(Request(url, json.dumps(instances | {"parameters": {"id2label": True}}).encode()))
    expect("the texts", [item["label"] for item in said["predictions"]], list(TEXTS.values()))


def image(server: local.Local, picture: Path) -> None:
    """The same of a picture of the digit, then in Hugging Face's shape, which takes the file as it is.

    :raises ControlPlaneError: an answer is wrong
    """
    url = f"{server.url}/v1/models/{server.name}:predict"
    body = json.dumps({"instances": [{"b64": base64.b64encode(picture.read_bytes()).decode()}]}).encode()
    said = ask(Request(url, body))
    expect("the picture", said["predictions"], [7])
    said = ask(
        Request(
            f"{server.url}/?top_k=2", picture.read_bytes(), {"Content-Type": "image/png"}, f"--data-binary @{picture}"
        )
    )
    expect("the picture", said[0]["label"], DIGIT)
