"""What people write."""

from __future__ import annotations

import json
from typing import Any


def inference_service(uri: str = "hf://team/model", name: str = "qwen", **predictor: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "huggingface"}, "storageUri": uri}, **predictor}},
    }


def llm_service(uri: str = "hf://team/model", name: str = "llama", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": name},
        "spec": {"model": {"uri": uri, "name": "m"}, **spec},
    }


def text(*objects: dict[str, Any]) -> str:
    """As documents of one YAML stream; JSON is YAML."""
    return "\n---\n".join(map(json.dumps, objects))
