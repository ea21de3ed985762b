"""The stores as fixtures: one of each for the whole run, built before the first test and started when one asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.controlplane import ControlPlaneError, NoToolchainError, binaries

from . import azurite
from .azure import AzureServer
from .gcs import GcsServer
from .oci import PASSWORD, USER, OciRegistry
from .s3 import S3Server
from .servers import Servers
from .tokens import TokenServer

_PREPARE: Final[dict[str, Callable[[], object]]] = {
    "s3_server": lambda: binaries.ensure(["versitygw"]),
    "gcs_server": lambda: binaries.ensure(["fake-gcs-server"]),
    "azure_server": azurite.folder,
    "oci_registry": lambda: binaries.ensure(["registry"]),
}
"""What takes too long for the time limit of the test that would come first."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds what is missing, once it is known which stores the tests of this run ask for."""
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    capture = session.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        for name in sorted(wanted & {*_PREPARE}):
            try:
                _PREPARE[name]()
            except NoToolchainError:
                pass  # told by each test that asks for it
            except ControlPlaneError as error:
                raise pytest.UsageError(str(error)) from None


@pytest.fixture(scope="session")
def store_servers() -> Iterator[Servers]:
    """The processes of all stores; for the fixtures below."""
    with Servers() as servers:
        yield servers


@pytest.fixture(scope="session")
def s3_server(store_servers: Servers) -> S3Server:
    _prepare("s3_server")
    return S3Server.start(store_servers)


@pytest.fixture(scope="session")
def gcs_server(store_servers: Servers) -> GcsServer:
    _prepare("gcs_server")
    return GcsServer.start(store_servers)


@pytest.fixture(scope="session")
def azure_server(store_servers: Servers) -> AzureServer:
    _prepare("azure_server")
    return AzureServer.start(store_servers)


@pytest.fixture(scope="session")
def oci_registry(store_servers: Servers) -> OciRegistry:
    _prepare("oci_registry")
    return OciRegistry.start(store_servers)


@pytest.fixture(scope="session")
def oci_registry_basic(oci_registry: OciRegistry, store_servers: Servers) -> OciRegistry:
    return oci_registry.with_basic(store_servers)


@pytest.fixture(scope="session")
def oci_registry_token(oci_registry: OciRegistry, store_servers: Servers) -> Iterator[OciRegistry]:
    with TokenServer(store_servers.address("tokens", "auth.example.com"), USER, PASSWORD) as tokens:
        yield oci_registry.with_tokens(store_servers, tokens.address)


def _prepare(name: str) -> None:
    """Where a store cannot be had, its tests are skipped with the reason; on CI that would hide them, so they fail."""
    try:
        _PREPARE[name]()
    except NoToolchainError as error:
        reason = str(error)
    else:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
