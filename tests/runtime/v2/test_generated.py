"""What protoc wrote is what it writes now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUNTIME = Path(__file__).parents[3] / "runtime"
PROTO = Path("classifier_runtime/protocols/inference.proto")


def test_the_stubs_are_those_of_the_proto(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="protoc is not installed")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, str(PROTO)], cwd=RUNTIME, check=True)
    for suffix in ("_pb2.py", "_pb2.pyi"):
        name = PROTO.with_name(PROTO.stem + suffix)
        made, kept = (_stubs(folder / name) for folder in (tmp_path, RUNTIME))
        assert made == kept, "run `make proto`"


def _stubs(file: Path) -> str:
    """Without the first lines, which name protoc's version: another with each release."""
    return file.read_text().rpartition("# @@protoc_insertion_point(imports)")[2]
