"""Telling the downloader to need less, where nobody told it anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pullsizer.kserve import INJECTED
from pullsizer.model import Source

TUNED: Final = {
    "HF_HUB_ENABLE_HF_TRANSFER": "0",
    "HF_XET_HIGH_PERFORMANCE": "0",
    "HF_HUB_DISABLE_XET": "1",
}
"""Plain requests: the smallest of all that was measured. One file of 4 GiB passes at 128Mi, eight at once at 384Mi, and
on one core it is not slower (docs/sizing.md)."""

_OF_THE_DOWNLOADER: Final = ("HF_XET_", "HF_HUB_ENABLE_HF_TRANSFER", "HF_HUB_DISABLE_XET")
"""What begins so decides how files are fetched."""


def tunable(sources: Iterable[Source], environment: Mapping[str, str]) -> bool:
    """Whether the container is the Hub's downloader just as KServe made it.

    A variable that somebody else set, or that comes from elsewhere, is somebody's word and stays; and so do the others
    beside it.

    :param environment: of the container; variables that come from elsewhere (`valueFrom`) as empty
    """
    if not any(source.store == "hf" for source in sources):
        return False
    return {name: value for name, value in environment.items() if name.startswith(_OF_THE_DOWNLOADER)} == INJECTED
