from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.controlplane.pki import Pki
from tests.unit.admission_server.served import Served, serve


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def served(pki: Pki) -> AsyncIterator[Served]:
    async with serve(pki) as running:
        yield running
