from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("said", "found"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_threads_that_wait_leave_the_core_to_others_unless_told_otherwise(said: dict[str, str], found: str) -> None:
    """OpenMP reads its variables when torch loads it: they have to be there before."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    code = (
        "import os, sys, classifier_runtime.backends;"
        "assert 'torch' not in sys.modules; print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    environ = {**kept, **said, "PYTHONPATH": ":".join(sys.path)}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)

    assert done.stdout.strip() == found
