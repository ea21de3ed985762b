"""What is served and asked: a model in each of its forms, the texts, and what is right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from tests import models
from tests.controlplane import cache
from tests.runtime.bench import environments, reference, texts


@dataclass(frozen=True)
class Subject:
    """One model.

    :param folder: of what the bench makes of it
    :param plain: as the Hub has it
    :param ids: of its labels
    :param expected: the class of each text; None where the best two are as good as equal
    :param held_out: sentences with their labels that the model has not seen; none for random weights
    """

    name: str
    folder: Path
    plain: Path
    ids: Mapping[str, int]
    texts: Sequence[str]
    expected: Sequence[int | None]
    held_out: Sequence[tuple[str, int]] = ()

    @cached_property
    def openvino(self) -> Path:
        """Exported; made where it is not there."""
        return models.exported(self.name)

    @cached_property
    def int8(self) -> Path:
        """Exported and quantised.

        :raises ModelRefused: it would answer otherwise too often
        """
        return models.exported(self.name, int8=True)


def subject(name: str) -> Subject:
    """Made where it is not there: minutes, once."""
    plain = models.folder(name)
    config = json.loads((plain / "config.json").read_text())
    weights = cache.hash_files(*sorted(plain.glob("*.safetensors")), plain / "config.json", plain / "tokenizer.json")
    folder = environments.root() / "models" / f"{name}-{weights[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    asked = _texts(plain, folder)
    held_out = plain / "held_out.jsonl"
    rows = [json.loads(line) for line in held_out.read_text().splitlines()] if held_out.exists() else []
    key = cache.key(asked)
    return Subject(
        name,
        folder,
        plain,
        {label: int(number) for number, label in config["id2label"].items()},
        asked,
        reference.classes(plain, asked, folder / f"reference-{key}.json"),
        [(row["text"], row["label"]) for row in rows],
    )


def _texts(model: Path, folder: Path) -> list[str]:
    kept = folder / "texts.json"
    if not kept.exists():
        tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        kept.write_text(json.dumps(texts.cut(texts.prose(), tokenizer)))
    found: list[str] = json.loads(kept.read_text())
    return found
