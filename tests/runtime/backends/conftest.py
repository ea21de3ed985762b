from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """The models are tiny: a second thread spends more on waiting than it computes, and other tests run beside."""
    import torch

    torch.set_num_threads(1)
