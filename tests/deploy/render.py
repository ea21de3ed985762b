"""deploy/install.yaml from deploy/base: `python -m tests.deploy.render` writes it, with `--check` it only looks."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from tests.controlplane import ControlPlaneError, binaries
from tests.controlplane.versions import MINIMUM_KUBERNETES

ROOT: Final = Path(__file__).parents[2]
BASE: Final = ROOT / "deploy" / "base"
INSTALL: Final = ROOT / "deploy" / "install.yaml"
HEADER: Final = "# For kubectl apply: all of Pullsizer. Rendered from deploy/base by `make install-yaml`.\n"

Document = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.render", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where it is not up to date")
    check = parser.parse_args(argv).check
    try:
        text = HEADER + kustomize(BASE)
    except ControlPlaneError as error:
        print(f"render: {error}", file=sys.stderr)
        return 1
    if not check:
        INSTALL.write_text(text)
        return 0
    if not INSTALL.exists() or documents(INSTALL.read_text()) != documents(text):
        print("deploy/install.yaml is not what deploy/base renders to; run `make install-yaml`", file=sys.stderr)
        return 1
    return 0


def kustomize(folder: Path) -> str:
    """What `kubectl apply -k` of the folder would apply."""
    done = subprocess.run([_kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ControlPlaneError(f"kubectl kustomize {folder.name}: {done.stderr.strip()}")
    return done.stdout


def documents(text: str) -> list[Document]:
    """Objects, as versions of kubectl differ in how they print the same."""
    return [document for document in yaml.safe_load_all(text) if document]


def _kubectl() -> str:
    """The machine's own where it is new enough, else the one that the tests build."""
    found = shutil.which("kubectl")
    if found is not None:
        done = subprocess.run([found, "version", "--client", "-o", "json"], capture_output=True, text=True, check=False)
        try:
            version = json.loads(done.stdout)["clientVersion"]
            # `32`, and `32+` where a vendor built it
            numbers = tuple(int(re.sub(r"\D", "", version[part])) for part in ("major", "minor"))
        except (ValueError, KeyError):
            numbers = ()
        if numbers >= MINIMUM_KUBERNETES:
            return found
    return str(binaries.path("kubectl"))


if __name__ == "__main__":
    sys.exit(main())
