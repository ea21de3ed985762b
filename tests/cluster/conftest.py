"""Pullsizer on the control plane of the run, and a Hub that answers after 0.3 s, as the real one does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane import ControlPlane
from tests.installation import Installation, start_hub

TOKEN_NAMESPACE = "tenant-a"


@pytest.fixture(scope="session")
def hub(own_plane: ControlPlane) -> str:
    return start_hub(own_plane, latency=0.3)


@pytest.fixture(scope="session")
def policy(hub: str) -> str:
    return f"""\
mode: Auto
sources:
  allowCIDRs: [127.0.0.1/32]
  huggingFace:
    endpoint: {hub}
    token:
      secretName: hub-token
      namespaces: [{TOKEN_NAMESPACE}]
"""


@pytest.fixture(scope="session")
def installed(own_plane: ControlPlane, policy: str) -> Iterator[Installation]:
    """One installation for the whole run; a test that breaks it mends it."""
    with Installation(own_plane, policy) as installation:
        yield installation
