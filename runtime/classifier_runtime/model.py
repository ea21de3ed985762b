"""What is known of a model before anything is loaded: from its folder's files, without torch.

What cannot be served right is refused here, at start, with what would help.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from classifier_runtime.checkpoint import Format, checkpoint
from classifier_runtime.core.labels import Labels, labels_of
from classifier_runtime.core.scoring import PROBLEMS, Problem
from classifier_runtime.errors import ModelRefused
from classifier_runtime.families import MORE_THAN_TEXT, OFFSET_POSITIONS, PAD_LEFT, SEGMENTS

TaskName = Literal["text-classification", "token-classification", "image-classification"]
TASKS: Final[tuple[TaskName, ...]] = get_args(TaskName)
ARCHITECTURES: Final[Mapping[str, TaskName]] = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForImageClassification": "image-classification",
    "ForImageClassificationWithTeacher": "image-classification",
}
# As KServe's `--task` and transformers' pipelines call them.
ALIASES: Final[Mapping[str, TaskName]] = {
    "sequence-classification": "text-classification",
    "sentiment-analysis": "text-classification",
    "zero-shot-classification": "text-classification",
    "ner": "token-classification",
}
# Of models with no limit of their own (relative positions), whose tokenizer names none: what encoders are trained with.
DEFAULT_MAX_TOKENS: Final = 512
# What tokenizers write for "no limit" is int(1e30).
NO_LIMIT: Final = 10**9


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model that can be served.

    :param classes: C, by the weights where they tell
    :param max_tokens: the longest input, special tokens counted; 0 for images
    :param input_names: the arrays that an item must have
    :param pad_id: of input_ids; None where the model has none
    :param pad_left: padding comes before the text
    :param dtype: of the weights: `float32`, `float16`, `bfloat16`
    :param config: config.json
    """

    path: Path
    task: TaskName
    model_type: str
    problem: Problem | None
    classes: int
    labels: Labels
    max_tokens: int
    input_names: tuple[str, ...]
    pad_id: int | None
    pad_left: bool
    dtype: str
    weights: Format
    remote_code: bool
    config: Mapping[str, Any] = field(repr=False)

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer.json"

    @property
    def preprocessor(self) -> Path:
        return self.path / "preprocessor_config.json"


def read(
    path: Path, *, task: str | None = None, trust_remote_code: bool = False, allow_pickle: bool = False
) -> ModelSpec:
    """What a folder holds.

    :param task: where the model does not say, or to be sure
    :param trust_remote_code: whether Python code of the model's may run
    :param allow_pickle: whether weights may be a format that is older than safetensors
    :raises ModelRefused: why it cannot be served, and what would help
    """
    config = _json(path / "config.json", "is this a model's folder, as the Hub has it?")
    model_type = str(config.get("model_type", ""))
    remote = "auto_map" in config
    if remote and not trust_remote_code:
        raise ModelRefused(f"{path}: the model brings Python code of its own; read it, then give --trust_remote_code")
    found = _task(path, config, task)
    if model_type in MORE_THAN_TEXT:
        raise ModelRefused(
            f"{path}: a {model_type} model needs more than text or an image, and we have nothing to give it"
        )
    weights = checkpoint(path)
    if weights.format == "pickle" and not allow_pickle:
        raise ModelRefused(
            f"{path}: the weights are a pickle, which can run code when it is loaded; "
            "convert them to safetensors, or give --allow_pickle if you trust where they come from"
        )
    problem = config.get("problem_type")
    if problem is not None and problem not in PROBLEMS:
        raise ModelRefused(f"{path}/config.json: problem_type {problem!r} is none of {', '.join(PROBLEMS)}")
    image = found == "image-classification"
    if image:
        _json(path / "preprocessor_config.json", "without it nobody knows how the model wants its images")
    tokenizer = {} if image else _tokenizer(path)
    classes = weights.classes or _classes(config)
    labels = labels_of(config, classes)
    if task == "zero-shot-classification" and not any(name.lower().startswith("entail") for name in labels.names):
        raise ModelRefused(
            f"{path}: zero-shot needs a model with a label `entailment`; this one has {labels.names[:5]}"
        )
    pad_id = None if image else _pad_id(path, config, tokenizer)
    return ModelSpec(
        path=path,
        task=found,
        model_type=model_type,
        problem=problem,
        classes=classes,
        labels=labels,
        max_tokens=0 if image else _max_tokens(config, tokenizer, pad_id),
        input_names=_input_names(config, tokenizer, found),
        pad_id=pad_id,
        pad_left=model_type in PAD_LEFT,
        dtype=weights.dtype or str(config.get("dtype") or config.get("torch_dtype") or "float32"),
        weights=weights.format,
        remote_code=remote,
        config=config,
    )


def _json(file: Path, hint: str) -> dict[str, Any]:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelRefused(f"{file} cannot be read ({error.strerror}); {hint}") from None
    except ValueError:
        raise ModelRefused(f"{file} is not JSON; copy it again") from None
    if not isinstance(said, dict):
        raise ModelRefused(f"{file} is not a JSON object; copy it again")
    return said


def _task(path: Path, config: Mapping[str, Any], said: str | None) -> TaskName:
    architectures = [str(name) for name in config.get("architectures") or ()]
    of_model = next(
        (task for name in architectures for suffix, task in ARCHITECTURES.items() if name.endswith(suffix)), None
    )
    if architectures and of_model is None:
        raise ModelRefused(
            f"{path}: {architectures[0]} is no classifier; fine-tune it as one, or serve it with KServe's"
        )
    if said is None:
        if of_model is None:
            raise ModelRefused(f"{path}/config.json names no architecture; give --task, one of {', '.join(TASKS)}")
        return of_model
    name = said.replace("_", "-")
    asked = next((task for task in TASKS if task == name), None) or ALIASES.get(name)
    if asked is None:
        raise ModelRefused(f"--task {said}: unknown; use one of {', '.join((*TASKS, 'zero-shot-classification'))}")
    if of_model not in (None, asked):
        raise ModelRefused(f"--task {said}: {path} is a model for {of_model}; leave --task out")
    return asked


def _tokenizer(path: Path) -> dict[str, Any]:
    if not (path / "tokenizer.json").is_file():
        raise ModelRefused(
            f"{path}: no tokenizer.json; write one with "
            "`AutoTokenizer.from_pretrained(…).save_pretrained(…)`, or `classifier_runtime export`"
        )
    file = path / "tokenizer_config.json"
    return _json(file, "") if file.is_file() else {}


def _classes(config: Mapping[str, Any]) -> int:
    """As transformers counts them, where the weights do not tell; 2 is its default."""
    named = config.get("id2label") or config.get("label2id")
    return len(named) if isinstance(named, Mapping) else int(config.get("num_labels") or 2)


def _of_text(config: Mapping[str, Any], key: str) -> Any:
    """A model with several parts has its text part's configuration nested."""
    nested = config.get("text_config")
    value = config.get(key)
    return nested.get(key) if value is None and isinstance(nested, Mapping) else value


def _pad_id(path: Path, config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> int | None:
    said = _of_text(config, "pad_token_id")
    if isinstance(said, int) and said >= 0:
        return said
    token = tokenizer.get("pad_token")
    token = token.get("content") if isinstance(token, Mapping) else token
    if token is None:
        return None
    added = _json(path / "tokenizer.json", "").get("added_tokens") or ()
    return next((int(one["id"]) for one in added if one.get("content") == token), None)


def _max_tokens(config: Mapping[str, Any], tokenizer: Mapping[str, Any], pad_id: int | None) -> int:
    limits = []
    positions = next((n for key in ("max_position_embeddings", "n_positions") if (n := _of_text(config, key))), None)
    if isinstance(positions, int) and positions > 0:
        offset = (1 if pad_id is None else pad_id) + 1 if config.get("model_type") in OFFSET_POSITIONS else 0
        limits.append(positions - offset)
    longest = tokenizer.get("model_max_length")
    if isinstance(longest, int | float) and 0 < longest < NO_LIMIT:
        limits.append(int(longest))
    return min(limits, default=DEFAULT_MAX_TOKENS)


def _input_names(config: Mapping[str, Any], tokenizer: Mapping[str, Any], task: TaskName) -> tuple[str, ...]:
    if task == "image-classification":
        return ("pixel_values",)
    kinds = config.get("type_vocab_size", 2)
    said = tokenizer.get("model_input_names")
    segments = config.get("model_type") in SEGMENTS and (said is None or "token_type_ids" in said)
    return ("input_ids", "token_type_ids") if segments and kinds > 1 else ("input_ids",)
