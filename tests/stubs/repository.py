"""Repositories of the Hub's stub: from a few numbers to the listings that the Hub's API documents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

SMALL: Final = 2048
"""Bytes of a file that is not of the weights, at most."""
_MODELS: Final = Path(__file__).with_name("models.yaml")

Storage = Literal["xet", "lfs", "mixed"]
"""Where the weights are. By now that is Xet's store, for nearly all of the Hub."""


@dataclass(frozen=True)
class Shape:
    """A repository as models.yaml describes one."""

    bytes: int
    files: int
    largest: int


def shapes(path: Path = _MODELS) -> dict[str, Shape]:
    """The shapes of models.yaml, by repository."""
    rows = yaml.safe_load(path.read_text())
    return {row["uri"].removeprefix("hf://"): Shape(row["bytes"], row["files"], row["largest"]) for row in rows}


def shape_of(folder: Path) -> Shape:
    """Of a model that is on this machine."""
    found = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return Shape(sum(found), len(found), max(found))


def sizes(shape: Shape) -> list[int]:
    """Sizes of the files of a shape, that sum up to its bytes: weights as large as the largest, the rest small."""
    found = [shape.largest]
    left = shape.bytes - shape.largest
    for after in range(shape.files - 2, -1, -1):
        # What the files after this one need at least, as far as there is so much; the last takes all that is left.
        found.append(min(shape.largest, max(left - after * SMALL, min(left, SMALL))) if after else left)
        left -= found[-1]
    if sum(found) != shape.bytes or max(found) != shape.largest or min(found) < 0:
        raise ValueError(f"no files have {shape}")
    return found


def sha_of(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def named(shape: Shape) -> list[tuple[str, int, bool]]:
    """The files: path, bytes, and whether it is of the weights."""
    found = sizes(shape)
    weights = sum(size > SMALL for size in found)
    names = [".gitattributes", "README.md", "config.json", "tokenizer.json", "tokenizer_config.json"]
    names += [f"extra/{index}.json" for index in range(len(found))]
    return [
        (f"model-{index + 1:05}-of-{weights:05}.safetensors", size, True)
        if index < weights
        else (names[index - weights], size, False)
        for index, size in enumerate(found)
    ]


def siblings(shape: Shape, *, blobs: bool) -> list[dict[str, Any]]:
    """As a model's description has them. They do not tell what is in Xet's store."""
    listed: list[dict[str, Any]] = []
    for name, size, heavy in named(shape):
        file: dict[str, Any] = {"rfilename": name}
        if blobs:
            file |= {"size": size, "blobId": sha_of(name)}
            if heavy:
                file["lfs"] = {"size": size, "sha256": _sha256(name), "pointerSize": 135}
        listed.append(file)
    return listed


def tree(shape: Shape, storage: Storage, *, recursive: bool) -> list[dict[str, Any]]:
    """As a tree has them, and its folders."""
    listed: list[dict[str, Any]] = []
    folders: set[str] = set()
    for number, (path, size, heavy) in enumerate(named(shape)):
        folder = path.rpartition("/")[0]
        if folder and folder not in folders:
            folders.add(folder)
            listed.append({"type": "directory", "oid": sha_of(folder), "size": 0, "path": folder})
        if folder and not recursive:
            continue
        entry: dict[str, Any] = {"type": "file", "oid": sha_of(path), "size": size, "path": path}
        if heavy:
            entry["lfs"] = {"oid": _sha256(path), "size": size, "pointerSize": 135}
            if storage == "xet" or (storage == "mixed" and number % 2):
                entry["xetHash"] = _sha256(f"xet {path}")
        listed.append(entry)
    return listed


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
