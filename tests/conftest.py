"""Fixtures of the tests that need a cluster.

The control plane is started when the first test asks for it, and what it needs is built before the first test runs: the
builds take minutes once, which no test's time limit allows for.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane, ControlPlaneError, NoToolchainError, binaries, snapshot
from tests.controlplane.cluster import Cluster, ExistingCluster

# Object stores, which need no cluster.
pytest_plugins = ["tests.stores.fixtures"]

EXISTING = "PULLSIZER_TEST_KUBECONFIG"
NO_TOOLCHAIN = pytest.StashKey[str]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if EXISTING in os.environ:
        reason = f"needs the control plane that the tests start themselves; unset {EXISTING}"
        for item in items:
            if item.get_closest_marker("needs_own_plane"):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds what is missing, once it is known that a test of this run will ask for it."""
    wanted = any("control_plane" in getattr(item, "fixturenames", ()) for item in session.items)
    if not wanted or session.config.option.collectonly or EXISTING in os.environ:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        try:
            binaries.ensure()
            snapshot.folder()
        except NoToolchainError as error:
            session.config.stash[NO_TOOLCHAIN] = str(error)
        except ControlPlaneError as error:
            raise pytest.UsageError(str(error)) from None


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A Kubernetes with KServe, one for the whole run: a ControlPlane, or the cluster of PULLSIZER_TEST_KUBECONFIG.

    Tests that need what only a ControlPlane has carry the marker `needs_own_plane`.
    """
    if given := os.environ.get(EXISTING):
        with tempfile.TemporaryDirectory(prefix="pullsizer-") as folder:
            found = shutil.which("kubectl")
            yield ExistingCluster(Path(given), Path(found) if found else binaries.path("kubectl"), Path(folder))
        return
    skip_without_toolchain(request.config)
    with ControlPlane.create() as plane:
        yield plane


@pytest.fixture(scope="session")
def own_plane(control_plane: Cluster) -> ControlPlane:
    """The same for tests marked `needs_own_plane`, with the type that has all of it."""
    assert isinstance(control_plane, ControlPlane), "mark this test with needs_own_plane"
    return control_plane


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """A fresh namespace in which pods can be made; it is deleted without waiting for the end of that."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    control_plane.until(
        lambda: control_plane.get("serviceaccount", "default", name), 30, f"service account {name}/default"
    )
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def skip_without_toolchain(config: pytest.Config) -> None:
    """Where nothing can be built, tests are skipped with the reason; on CI that would hide them, so they fail."""
    if (reason := config.stash.get(NO_TOOLCHAIN, None)) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
