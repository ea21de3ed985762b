"""`--model FILE`: facts of models that were measured elsewhere, or are only imagined. `size -o json` writes such."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from pullsizer.cli.documents import parsed, shown, text_of
from pullsizer.cli.exits import BadInput
from pullsizer.errors import InvalidValue
from pullsizer.model import Archive, Basis, Failure, Knowledge, ModelFacts, Source
from pullsizer.names import MEMORY
from pullsizer.quantity import MOST_BYTES, MOST_FILES, human, parse
from pullsizer.suggest import nearest

_SHARD: Final = 10_000_000_000
"""The largest file of a model of which only the size is given: transformers cut shards of 10 GB, later of 5."""


def _bytes(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidValue(f"{value!r} is not a size; write bytes, or a quantity such as 59Gi")
    amount = parse(str(value).strip(), MEMORY)
    if amount < 0:
        raise InvalidValue(f"{value!r} is below zero")
    if amount > MOST_BYTES:
        raise InvalidValue(f"{value!r} is more than {human(MOST_BYTES)}, which is more than any model has")
    return amount


Bytes = Annotated[int, BeforeValidator(_bytes)]


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True)


class GivenFailure(_Given):
    """Why a model is not measured."""

    reason: str
    message: str
    retry_after: float = Field(default=300, ge=0)


class GivenModel(_Given):
    """One model: its facts, or the failure to get them.

    :param uri: as the service names it; None: whatever is pulled
    :param allow: the facts are of the files that these select; they are those of no other selection
    """

    uri: str | None = None
    allow: tuple[str, ...] = Field(default=(), strict=False)
    ignore: tuple[str, ...] = Field(default=(), strict=False)
    size: Bytes | None = Field(default=None, validation_alias=AliasChoices("bytes", "size"))
    files: int | None = Field(default=None, ge=0, le=MOST_FILES)
    largest: Bytes | None = None
    archive: Archive = ""
    unpacked: Bytes = 0
    largest_by_xet: Bytes | None = None
    largest_by_lfs: Bytes | None = None
    revision: str = ""
    etag: str = ""
    basis: Basis = "measured"
    failure: GivenFailure | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.failure is not None:
            if self.size is not None:
                raise InvalidValue("failure: a model with a size did not fail; leave one of the two out")
            return self
        if self.size is None:
            raise InvalidValue("bytes: is missing; write how big the model is, for example 59Gi")
        if self.largest is not None and self.largest > self.size:
            raise InvalidValue(
                f"largest: a file of {human(self.largest)} is larger than the whole of {human(self.size)}"
            )
        if self.files is not None and self.largest is not None and self.files * self.largest < self.size:
            raise InvalidValue(
                f"files: {self.files} of at most {human(self.largest)} are less than the whole of {human(self.size)}"
            )
        if self.files is None and self.largest is not None and self.largest * MOST_FILES < self.size:
            raise InvalidValue(
                f"largest: of files of at most {human(self.largest)} it would take more than {MOST_FILES:,} to make "
                f"{human(self.size)}"
            )
        return self

    def knowledge(self) -> Knowledge:
        if self.failure is not None:
            return Failure(self.failure.reason, self.failure.message, self.failure.retry_after)
        assert self.size is not None
        if self.largest is not None:
            largest = self.largest
        elif self.files:
            largest = min(self.size, max(_SHARD, -(-self.size // self.files)))
        else:
            largest = min(self.size, _SHARD)
        files = self.files if self.files is not None else -(-self.size // largest) if largest else 0
        return ModelFacts(
            bytes=self.size,
            files=files,
            largest=largest,
            archive=self.archive,
            unpacked=self.unpacked,
            largest_by_xet=self.largest_by_xet,
            largest_by_lfs=self.largest_by_lfs,
            revision=self.revision,
            etag=self.etag,
            basis=self.basis,
        )


def written(source: Source, knowledge: Knowledge) -> dict[str, Any]:
    """What is known of a source, in the form that `--model` reads."""
    found: dict[str, Any] = {"uri": source.public_uri}
    if source.allow:
        found["allow"] = list(source.allow)
    if source.ignore:
        found["ignore"] = list(source.ignore)
    return found | facts_written(knowledge)


def facts_written(knowledge: Knowledge) -> dict[str, Any]:
    if isinstance(knowledge, Failure):
        failure = {"reason": knowledge.reason, "message": knowledge.message, "retryAfter": knowledge.retry_after}
        return {"failure": failure}
    optional = {
        "archive": knowledge.archive,
        "unpacked": knowledge.unpacked,
        "revision": knowledge.revision,
        "etag": knowledge.etag,
    }
    by_way = {"largestByXet": knowledge.largest_by_xet, "largestByLfs": knowledge.largest_by_lfs}
    return {
        "bytes": knowledge.bytes,
        "files": knowledge.files,
        "largest": knowledge.largest,
        **{key: value for key, value in optional.items() if value},
        **{key: value for key, value in by_way.items() if value is not None},
        "basis": knowledge.basis,
    }


@dataclass(frozen=True)
class GivenModels:
    """All models of all files; the first that fits counts."""

    models: tuple[GivenModel, ...] = ()

    def find(self, source: Source) -> Knowledge | None:
        """What was given of a source: under its own URI and filters, or else of whatever is pulled."""
        for model in self.models:
            if model.uri in (source.uri, source.public_uri) and (model.allow, model.ignore) == (
                source.allow,
                source.ignore,
            ):
                return model.knowledge()
        return next((model.knowledge() for model in self.models if model.uri is None), None)


def load_models(paths: Iterable[str]) -> GivenModels:
    """From JSON or YAML: a model, a list of models, or what `size -o json` printed.

    :raises BadInput: with every problem of a file
    """
    found: list[GivenModel] = []
    for path in paths:
        problems = []
        for number, item in enumerate(_items(path), 1):
            try:
                found.append(GivenModel.model_validate(item))
            except ValidationError as error:
                problems += [f"{shown(path)}: model {number}: {text}" for text in _sentences(error)]
        if problems:
            raise BadInput("\n".join(problems))
    return GivenModels(tuple(found))


def _items(path: str) -> list[Any]:
    documents = parsed(text_of(path), path)
    if not documents:
        raise BadInput(f'{shown(path)}: is empty; write a model such as {{"bytes": "59Gi"}}')
    if len(documents) == 1 and isinstance(documents[0], list):
        documents = documents[0]
    return [
        item["model"] if isinstance(item, dict) and isinstance(item.get("model"), dict) else item for item in documents
    ]


def _sentences(error: ValidationError) -> Iterable[str]:
    known = {field.alias or name for name, field in GivenModel.model_fields.items()} | {"bytes"}
    for problem in error.errors():
        path = ".".join(map(str, problem["loc"]))
        context = problem.get("ctx", {}).get("error")
        if problem["type"] == "extra_forbidden":
            yield f"{path}: unknown key{nearest(path, known)}"
        elif problem["type"] == "model_type":
            yield 'not a mapping; write for example {"uri": "hf://owner/model", "bytes": "59Gi"}'
        else:
            text = str(context) if isinstance(context, Exception) else problem["msg"][0].lower() + problem["msg"][1:]
            yield f"{path}: {text}" if path else text
