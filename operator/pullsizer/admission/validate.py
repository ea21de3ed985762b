"""What `kubectl apply` is told about the policy and about annotations on services.

Services are validated by ratchet: only what a change adds or changes is looked at. An object that was stored with a bad
annotation while we were away can still be updated, and deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pullsizer.admission.review import Request
from pullsizer.errors import InvalidPolicy
from pullsizer.names import INFERENCE_SERVICE, LLM_INFERENCE_SERVICE, POLICY_CONFIGMAP, POLICY_KEY
from pullsizer.overrides import parse_overrides, unknown_keys
from pullsizer.policy import load_policy

Json = Mapping[str, Any]

_SERVICES: Final = (INFERENCE_SERVICE, LLM_INFERENCE_SERVICE)
VALIDATED: Final = ("ConfigMap", *_SERVICES)


@dataclass(frozen=True)
class Verdict:
    """The answer on one object.

    :param denied: why it is refused; empty where it is not
    """

    denied: str = ""
    warnings: tuple[str, ...] = ()


ALLOWED: Final = Verdict()


def validate(request: Request, namespace: str, kserve_namespace: str) -> Verdict:
    """The verdict on what a request creates or updates.

    :param namespace: where the policy's ConfigMap is
    :param kserve_namespace: of KServe's controllers, whose writes are never judged
    """
    if request.operation not in ("CREATE", "UPDATE") or request.subresource:
        return ALLOWED
    metadata = request.object.get("metadata") or {}
    if metadata.get("deletionTimestamp") or request.user.startswith(f"system:serviceaccount:{kserve_namespace}:"):
        return ALLOWED
    if request.kind == "ConfigMap" and (request.namespace, metadata.get("name")) == (namespace, POLICY_CONFIGMAP):
        return _policy(request.object)
    if request.kind in _SERVICES:
        return _service(metadata, request.old_object.get("metadata") or {})
    return ALLOWED


def _policy(configmap: Json) -> Verdict:
    data = configmap.get("data") or {}
    others = sorted(key for key in data if key != POLICY_KEY)
    warnings = tuple(
        f"{POLICY_CONFIGMAP}: key {key!r} is not read; the policy is under {POLICY_KEY!r}" for key in others
    )
    try:
        load_policy(str(data.get(POLICY_KEY, "")))
    except InvalidPolicy as error:
        return Verdict(f"{POLICY_CONFIGMAP}: {'; '.join(error.problems[:10])}", warnings)
    return Verdict(warnings=warnings)


def _service(metadata: Json, old: Json) -> Verdict:
    annotations, before = metadata.get("annotations") or {}, old.get("annotations") or {}
    changed = {key: value for key, value in annotations.items() if before.get(key) != value}
    if not changed:
        return ALLOWED
    warnings = tuple(f"metadata.annotations: {problem}" for problem in unknown_keys(changed))
    # Judged together, as they act together: a limit may be below a request that was there before. Refused only where
    # what changed has a part in it.
    _, problems = parse_overrides(annotations)
    _, problems_before = parse_overrides(before)
    found = [problem for problem in problems if problem.key in changed or problem not in problems_before]
    if found:
        return Verdict("; ".join(f"metadata.annotations: {problem}" for problem in found), warnings)
    return Verdict(warnings=warnings)
