"""Models that really classify, made here with no hub, and kept in the project's cache.

    tests.models.folder("minilm")                 as the Hub would have it: weights, tokenizer, config.json
    tests.models.exported("minilm", int8=True)    as `classifier_runtime export` writes it

Beside a model: `made.json`, what was measured of it; of texts `held_out.jsonl`, texts with labels that it has not seen,
and `calibration.jsonl`, some that it has; of digits `examples/LABEL.png`, the one of each that it is surest of.
"""

from tests.models.store import exported, folder

__all__ = ["exported", "folder"]
