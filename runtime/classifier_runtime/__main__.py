"""`python -m classifier_runtime` serves; `python -m classifier_runtime export` prepares a model for serving."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

import uvloop

from classifier_runtime import flags, loading, logs, tracing
from classifier_runtime.errors import ModelRefused
from classifier_runtime.protocols.cloudevents import Naming
from classifier_runtime.server import run

log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    logs.configure("INFO")
    if argv[:1] == ["export"]:
        try:
            from classifier_runtime import export  # noqa: PLC0415 - torch, which a server may be without
        except ImportError as error:
            log.critical("export needs %s, which is not installed; use the image with torch", error.name)
            return 2
        return export.main(argv[1:])
    try:
        settings, warnings = flags.read(argv, os.environ)
    except ModelRefused as error:
        log.critical("%s", error)
        return 2
    logs.configure(settings.log_level)
    for warning in warnings:
        log.warning("%s", warning)
    # Texts are encoded by --tokenizer_threads; of its own, tokenizers would start as many as there are cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tracer = tracing.start(os.environ, settings.model_name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(settings, loading.load, Naming.read(os.environ), tracer))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
