"""The command line: KServe's flags in both spellings, others' with a warning, and no misspelt one."""

from __future__ import annotations

from pathlib import Path

import pytest

from classifier_runtime import flags
from classifier_runtime.errors import ModelRefused
from classifier_runtime.settings import Settings


def test_nothing_said_is_kserves_own() -> None:
    settings, warnings = flags.read([], {})
    assert settings == Settings()
    assert (settings.model_dir, settings.model_name, settings.http_port) == (Path("/mnt/models"), "model", 8080)
    assert warnings == []


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--model_name", "m"], "model_name", "m"),
        (["--model-name=m"], "model_name", "m"),
        (["--served_model_name", "m"], "model_name", "m"),
        (["--model_dir", "file:///here"], "model_dir", Path("/here")),
        (["--max_length", "64"], "max_model_len", 64),
        (["--max-model-len=64"], "max_model_len", 64),
        (["--return_probabilities"], "return_probabilities", True),
        (["--return_probabilities", "--model_name", "m"], "return_probabilities", True),
        (["--use_id2label"], "id2label", True),
        (["--id2label=false"], "id2label", False),
        (["--enable_docs_url", "true"], "enable_docs_url", True),
        (["--enable_docs_url", "n"], "enable_docs_url", False),
        (["--timeout-keep-alive", "5"], "timeout_keep_alive", 5.0),
        (["--backend", "huggingface"], "backend", "huggingface"),
        (["--trust-remote-code"], "trust_remote_code", True),
    ],
)
def test_flags_are_written_as_kserve_and_as_vllm_write_them(argv: list[str], name: str, value: object) -> None:
    settings, warnings = flags.read(argv, {})
    assert getattr(settings, name) == value
    assert warnings == []


def test_the_level_of_the_log_comes_from_kserves_variable_unless_there_is_a_flag() -> None:
    environ = {"KSERVE_LOGLEVEL": "debug"}
    assert flags.read([], environ)[0].log_level == "DEBUG"
    assert flags.read(["--log_level", "ERROR"], environ)[0].log_level == "ERROR"


@pytest.mark.parametrize(("said", "meant"), [("WARN", "WARNING"), ("fatal", "CRITICAL"), ("WARNING", "WARNING")])
def test_levels_of_the_log_have_pythons_other_names_too(said: str, meant: str) -> None:
    assert flags.read([], {"KSERVE_LOGLEVEL": said})[0].log_level == meant


@pytest.mark.parametrize(
    ("argv", "count"),
    [
        (["--workers", "4", "--max_threads=2", "--model_name", "m"], 2),
        (["--tensor-parallel-size", "2", "--enforce-eager"], 2),
        (["--tensor_input_names", "input_ids,attention_mask", "--disable_log_requests"], 2),
        (["--disable_lower_case"], 0),
        (["--disable_lower_case", "true"], 0),
        (["--disable-lower-case=true", "--seed", "1"], 1),
        (["--enable-log-requests", "--max-logprobs", "5", "--model-impl=auto", "--limit_mm_per_prompt", "{}"], 4),
        (["--no-enable-log-requests", "--no-enable-prefix-caching"], 2),
    ],
)
def test_flags_that_mean_something_elsewhere_are_taken_with_a_warning_each(argv: list[str], count: int) -> None:
    assert len(flags.read(argv, {})[1]) == count


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--model_nam", "m"], "did you mean --model_name?"),
        (["--use-id2labels"], "did you mean --use_id2label?"),
        (["--zzz"], "--zzz: unknown; see --help"),
        (["model"], "flags begin with --"),
        (["--id2label", "true", "model"], "model: flags begin with --"),
        (["--http_port", "many"], "--http_port many"),
        (["--http_port", "70000"], "--http_port 70000"),
        (["--dtype", "int8"], "--dtype int8"),
        (["--max_pixels", "100000000"], "--max_pixels 100000000"),
        (["--backend", "vllm"], "--backend vllm"),
        (["--id2label", "perhaps"], "--id2label perhaps"),
        (["--return_probabilities", "--return_raw_logits"], "give one of them"),
        (["--disable_special_tokens"], "trained with special tokens"),
        (["--model_name"], "expected one argument"),
        (["--log_level", "LOUD"], "--log_level LOUD"),
    ],
)
def test_what_nobody_knows_ends_the_start(argv: list[str], says: str) -> None:
    with pytest.raises(ModelRefused, match=says.replace("?", r"\?")):
        flags.read(argv, {})


def test_both_lists_of_all_classes_may_be_a_default_of_enhanced_mode() -> None:
    settings, _ = flags.read(["--return_probabilities", "--return_raw_logits", "--id2label"], {})
    assert settings.options.return_raw_logits


def test_every_flag_has_help() -> None:
    assert all(field.description for field in Settings.model_fields.values())
