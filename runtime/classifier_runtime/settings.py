"""What a server is told at its start. Names, defaults and meanings are those of KServe's Hugging Face server where it
has the same; reading them from flags is in `flags`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from classifier_runtime.core.options import Options
from classifier_runtime.tasks.pictures import MAX_PIXELS, PILLOWS_LIMIT

Backend = Literal["auto", "huggingface", "torch-packed", "torch-padded", "openvino"]
Dtype = Literal["auto", "float16", "float32", "bfloat16", "float", "half"]


class Settings(BaseModel):
    """Each flag is one field, and each field's docstring its help."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True)

    model_dir: Path = Path("/mnt/models")
    """The model's folder, where KServe's storage initializer puts it."""
    model_id: str | None = None
    """A model of the Hub, downloaded by this process; its pull is then sized by nobody. Rather give a storageUri."""
    model_revision: str | None = None
    """Of --model_id: a branch, tag or commit."""
    model_name: str = Field(default="model", min_length=1)
    """As clients call it in paths."""
    task: str | None = None
    """As Hugging Face names it; found in the model's config.json where not given."""
    trust_remote_code: bool = False
    """Run Python code that the model brings."""
    allow_pickle: bool = False
    """Load weights from pickle files, which can run code."""

    host: str = "0.0.0.0"
    """Address to listen on."""
    http_port: int = Field(default=8080, ge=0, le=65535)
    """V1, V2, Hugging Face's shape, health and metrics. 0: any free one."""
    grpc_port: int = Field(default=8081, ge=0, le=65535)
    """V2 over gRPC. 0: any free one."""
    enable_grpc: bool = True
    """Serve gRPC."""
    enable_docs_url: bool = False
    """Serve a page about the HTTP interface at /docs."""
    enable_ui: bool = False
    """Serve a page at /ui where a person tries the model."""
    timeout_keep_alive: float = Field(default=65, gt=0)
    """Seconds that an idle connection is kept: longer than the proxies before us do, or they run into closed ones."""

    backend: Backend = "auto"
    """What computes. huggingface, which KServe's users give to be without vLLM, means auto."""
    probe: Literal["export", "always"] = "export"
    """When OpenVINO and torch are timed. always: at each start, for tuning; it takes as long as several starts."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA where there is one that works. cuda: nothing else."""
    dtype: Dtype = "auto"
    """Of the computation. auto: float32 on CPU; on CUDA the checkpoint's own."""
    threads: int = Field(default=0, ge=0)
    """That compute, on CPU. 0: the container's limit, rounded down; without one as many as the node has cores."""
    tokenizer_threads: int = Field(default=2, ge=1)
    """That read texts and images and make answers, beside the event loop."""
    cache_dir: Path | None = None
    """Where an exported model is looked for and kept, beside the model's folder."""
    max_model_len: int | None = Field(default=None, ge=1)
    """Tokens after which a text is cut; the model's own limit where that is lower or nothing is given."""
    max_batch_tokens: int = Field(default=0, ge=0)
    """Of one computation, padding and all. 0: 512 on CPU, where more is slower; on CUDA what is fastest, measured at
    start. Less where memory does not hold it."""

    max_instances: int = Field(default=2048, ge=1)
    """Of one request; of zero-shot, each text with each candidate is one."""
    max_text_bytes: int = Field(default=262_144, ge=1)
    """Of one text: four times what 8,192 tokens take, the longest that classifiers read."""
    max_pixels: int = Field(default=MAX_PIXELS, ge=1, le=PILLOWS_LIMIT)
    """Of one image, each three bytes of memory; at most 89,478,485. 50 million are a phone's."""
    max_request_bytes: int = Field(default=33_554_432, ge=1)
    """Of one request's body, unpacked."""
    queue_tokens: int = Field(default=0, ge=0)
    """That may wait; who comes then gets 429. 0: 65,536 on CPU, a minute of BERT-base on 2 cores; on CUDA 4,194,304."""
    request_timeout_seconds: float = Field(default=60, gt=0)
    """After which a request gets 504 and is not computed any more."""
    drain_seconds: float = Field(default=5, ge=0)
    """After SIGTERM requests are still taken for so long: endpoints take a moment to be withdrawn."""

    id2label: bool = False
    """Answer with labels and scores where a request does not say; else with ids, as KServe does."""
    return_probabilities: bool = False
    """Answer with the scores of all classes where a request does not say."""
    return_raw_logits: bool = False
    """Answer with logits where a request does not say."""
    return_offsets_mapping: bool = False
    """Of tokens: where each is in the text, as a further output in basic mode."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """The least that is logged."""
    enable_latency_logging: bool = False
    """Log a line for each request, with its times and without its texts."""

    @model_validator(mode="after")
    def _one_thing_a_class(self) -> Self:
        if self.return_probabilities and self.return_raw_logits and not self.id2label:
            raise ValueError("--return_probabilities and --return_raw_logits: give one of them, or --id2label too")
        return self

    @property
    def options(self) -> Options:
        """In force where a request says nothing."""
        return Options(
            id2label=self.id2label,
            return_probabilities=self.return_probabilities,
            return_raw_logits=self.return_raw_logits,
        )
