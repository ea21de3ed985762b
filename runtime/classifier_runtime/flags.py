"""The command line of a server: KServe's flags, vLLM's where they are met on classifiers, and no misspelt one.

KServe ignores what it does not know, so that a misspelt flag is never noticed. Here such a flag ends the start, and one
that means something elsewhere gets a line in the log.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import ValidationError

from classifier_runtime.errors import ModelRefused
from classifier_runtime.settings import Settings

_ALIASES: Final = {
    "max_length": "max_model_len",
    "use_id2label": "id2label",
    "return_labels": "id2label",
    "served_model_name": "model_name",
    "revision": "model_revision",
}
# They mean something to KServe or vLLM and nothing to a classifier of ours.
_ELSEWHERE: Final = frozenset(
    (
        "access_log_format",
        "block_size",
        "chat_template",
        "configure_logging",
        "convert",
        "cpu_offload_gb",
        "data_parallel_size",
        "disable_frontend_multiprocessing",
        "disable_log_requests",
        "disable_log_stats",
        "distributed_executor_backend",
        "enable_chunked_prefill",
        "enable_log_requests",
        "enable_predictor_health_check",
        "enable_prefix_caching",
        "enforce_eager",
        "event_loop",
        "generation_config",
        "gpu_memory_utilization",
        "grpc_max_receive_message_length",
        "grpc_max_send_message_length",
        "kv_cache_dtype",
        "limit_mm_per_prompt",
        "load_format",
        "log_config_file",
        "max_asyncio_workers",
        "max_log_len",
        "max_logprobs",
        "max_num_batched_tokens",
        "max_num_seqs",
        "max_parallel_loading_workers",
        "max_seq_len_to_capture",
        "max_threads",
        "model_impl",
        "no_enable_chunked_prefill",
        "no_enable_log_requests",
        "no_enable_prefix_caching",
        "pipeline_parallel_size",
        "predictor_host",
        "predictor_protocol",
        "predictor_request_retries",
        "predictor_request_timeout_seconds",
        "predictor_use_ssl",
        "protocol",
        "quantization",
        "return_token_type_ids",
        "runner",
        "seed",
        "swap_space",
        "tensor_input_names",
        "tensor_parallel_size",
        "tokenizer",
        "tokenizer_mode",
        "tokenizer_revision",
        "uvicorn_log_level",
        "workers",
    )
)
# Python's other names of them, which KServe takes.
_LEVELS: Final = {"WARN": "WARNING", "FATAL": "CRITICAL"}
# As we always do: KServe lower-cases what a model was trained to tell apart, and has a flag against it.
_ALWAYS: Final = ("disable_lower_case",)
# Ignoring these would change answers.
_REFUSED: Final = {
    "disable_special_tokens": "classifiers are trained with special tokens, and wrong without",
}


def read(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Settings, and sentences about flags that mean nothing here.

    :param environ: `KSERVE_LOGLEVEL`; the libraries read their own (`HF_TOKEN`, `HF_HOME`, …)
    :raises ModelRefused: a flag that nobody knows, or a value that it cannot have
    """
    known, rest = _parser().parse_known_args([_normal(word) for word in argv])
    said: dict[str, Any] = {name: value for name, value in vars(known).items() if value is not None}
    warnings = _elsewhere(rest)
    if "KSERVE_LOGLEVEL" in environ:
        level = environ["KSERVE_LOGLEVEL"].upper()
        said.setdefault("log_level", _LEVELS.get(level, level))
    if str(said.get("model_dir", "")).startswith("file://"):
        said["model_dir"] = said["model_dir"].removeprefix("file://")
    try:
        return Settings(**said), warnings
    except ValidationError as error:
        first = error.errors()[0]
        flag = f"--{first['loc'][0]} {first['input']}: " if first["loc"] else ""
        raise ModelRefused(f"{flag}{first['msg'].removeprefix('Value error, ')}") from None


def _normal(word: str) -> str:
    """Flags are written with underscores by KServe and with dashes by vLLM."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ModelRefused(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="classifier_runtime",
        description="Serves a Hugging Face classifier; `classifier_runtime export MODEL OUT` prepares one.",
        allow_abbrev=False,
        argument_default=None,
    )
    for name, field in Settings.model_fields.items():
        names = [f"--{name}", *(f"--{alias}" for alias, of in _ALIASES.items() if of == name)]
        text = (field.description or "").replace("%", "%%")
        if field.annotation is bool:
            # KServe's are some with a value and some without: both ways, for all.
            parser.add_argument(*names, dest=name, nargs="?", const="true", help=text)
        else:
            choices = (
                f" One of {', '.join(get_args(field.annotation))}." if get_origin(field.annotation) is Literal else ""
            )
            parser.add_argument(*names, dest=name, metavar="VALUE", help=text + choices)
    return parser


def _elsewhere(rest: Sequence[str]) -> list[str]:
    """Of words that are no flags of ours: sentences about those that are others'.

    A word that is no flag belongs to the flag before it.
    """
    warnings: list[str] = []
    for place, word in enumerate(rest):
        name = word[2:].partition("=")[0]
        if not word.startswith("--"):
            if place == 0:
                raise ModelRefused(f"{word}: flags begin with --")
        elif name in _REFUSED:
            raise ModelRefused(f"--{name}: {_REFUSED[name]}")
        elif name in _ALWAYS:
            pass
        elif name in _ELSEWHERE:
            warnings.append(f"--{name} means nothing here and is ignored")
        else:
            near = get_close_matches(name, (*Settings.model_fields, *_ALIASES, *_ALWAYS, *_ELSEWHERE), n=1)
            raise ModelRefused(f"--{name}: unknown" + (f"; did you mean --{near[0]}?" if near else "; see --help"))
    return warnings
