"""Which pods the API server asks us about at all: the selectors of deploy/base/admission.yaml, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pullsizer.names import INJECT, ISVC_LABEL, LLM_PART_OF, LLM_PART_OF_LABEL

_CONTROL_PLANE: Final = "control-plane"
_NEVER: Final = frozenset({"kube-system", "pullsizer-system"})


def why_not_asked(labels: Mapping[str, str], namespace: str, namespace_labels: Mapping[str, str]) -> str:
    """Why the webhook is not called for a pod; empty where it is."""
    if labels.get(INJECT) == "disabled":
        return f"the pod has the label {INJECT}: disabled"
    if namespace_labels.get(INJECT) == "disabled":
        return f"the namespace {namespace} has the label {INJECT}: disabled"
    if namespace in _NEVER:
        return f"no pod in {namespace} is sized"
    if _CONTROL_PLANE in namespace_labels:
        return f"the namespace {namespace} has the label {_CONTROL_PLANE}: KServe pulls no models there"
    if ISVC_LABEL not in labels and labels.get(LLM_PART_OF_LABEL) != LLM_PART_OF:
        return f"the pod is of no service of KServe's: it has neither the label {ISVC_LABEL} nor {LLM_PART_OF_LABEL}"
    return ""
