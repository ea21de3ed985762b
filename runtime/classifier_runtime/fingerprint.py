"""Whether weights are those that an export was made of: told at every start, so without reading gigabytes.

Dates would not tell, which copying changes, nor sizes, which training does not.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from classifier_runtime.checkpoint import header, weights

# Bytes of each tensor: a page, which costs one read. Training moves all numbers of a tensor but rows of embeddings; and
# biases, norms and most heads are in it whole.
SAMPLE: Final = 4096
# What people edit, and no computation reads.
NAMES: Final = ("id2label", "label2id")


def fingerprint(folder: Path) -> str:
    """Of the configuration, and of each file of weights its name, its size, what it says of itself, and samples."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    said = hashlib.sha256(_bytes({key: value for key, value in config.items() if key not in NAMES}))
    for file in weights(folder):
        said.update(_bytes([file.name, file.stat().st_size]))
        for piece in _safetensors(file) if file.suffix == ".safetensors" else _pickle(file):
            said.update(piece)
    return said.hexdigest()


def _safetensors(file: Path) -> Iterator[bytes]:
    tensors, begin = header(file)
    yield _bytes(tensors)
    with file.open("rb", buffering=0) as stream:
        for first, end in sorted(tensor["data_offsets"] for tensor in tensors.values()):
            stream.seek(begin + first)
            yield stream.read(min(end - first, SAMPLE))


def _pickle(file: Path) -> Iterator[bytes]:
    """What torch writes is a ZIP archive, with each tensor's checksum. Before 1.6 it was none: such are read whole."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield _bytes([[one.filename, one.file_size, one.CRC] for one in archive.infolist()])
    except zipfile.BadZipFile:
        with file.open("rb") as stream:
            yield hashlib.file_digest(stream, "sha256").digest()


def _bytes(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
