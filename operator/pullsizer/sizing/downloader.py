"""KServe's downloader for Hugging Face, as far as its version and environment decide what a pull needs.

Facts: KServe v0.16 to v0.20, `pkg/utils/storage.go` (what it injects) and `python/storage/uv.lock` (what the image
holds); measured with exactly those (docs/sizing.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TUNED: Final = {
    "HF_HUB_ENABLE_HF_TRANSFER": "0",
    "HF_XET_HIGH_PERFORMANCE": "0",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_SIZE": "256mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_PERFILE_SIZE": "64mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_LIMIT": "320mb",
}
"""With these a pull stays under 1Gi whatever the size of its files: 284 MiB at the peak for one of 4 GiB, 6.2 s on one
core. The buffers are heeded only with HIGH_PERFORMANCE off."""

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_VERSION: Final = re.compile(r":v?0\.(\d+)(?:\.|$)")


@dataclass(frozen=True)
class HuggingFaceDownloader:
    """How files come: through hf_transfer or plain requests where they are stored as LFS, through Xet where as Xet.

    Which of the two stores a file is in is the Hub's choice, file by file.

    :param transfer: hf_transfer fetches LFS files, 100 ranges of 10 MiB at once
    :param xet: Xet files are fetched by hf_xet; else they come as LFS
    :param high_performance: hf_xet buffers up to 16 GB; else up to 2
    :param buffers_capped: hf_xet's buffers are capped as `TUNED` does
    :param chunk_cache: hf_xet keeps up to 10 GiB of chunks in the container's writable layer
    """

    transfer: bool = True
    xet: bool = True
    high_performance: bool = True
    buffers_capped: bool = False
    chunk_cache: bool = False


def hugging_face_downloader(environment: Mapping[str, str], image: str) -> HuggingFaceDownloader:
    def on(name: str) -> bool:
        return environment.get(name, "").strip().lower() in _TRUE

    high_performance = on("HF_XET_HIGH_PERFORMANCE")
    version = _VERSION.search(image)
    return HuggingFaceDownloader(
        transfer=on("HF_HUB_ENABLE_HF_TRANSFER"),
        xet=not on("HF_HUB_DISABLE_XET"),
        high_performance=high_performance,
        buffers_capped=not high_performance
        and all(environment.get(name) == value for name, value in TUNED.items() if "BUFFER" in name),
        # hf-xet 1.1.3, in the images of v0.16 to v0.19; off since 1.5.1
        chunk_cache=version is not None and 16 <= int(version[1]) <= 19,
    )
