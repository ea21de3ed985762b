"""What `kubectl apply` of a service is warned of: what would stand in the way of its pulls, as far as is known by now.

From memory only. Of a model that nobody has asked for yet nothing is known; then nothing is said, and an Event tells
later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pullsizer.admission.caches import Caches
from pullsizer.admission.deciding import decide_pod
from pullsizer.admission.review import Request
from pullsizer.kserve_pods import inference_service_pods, llm_pods
from pullsizer.model import Failure
from pullsizer.names import INFERENCE_SERVICE, LLM_INFERENCE_SERVICE

Json = Mapping[str, Any]

_MADE_BY: Final = {INFERENCE_SERVICE: inference_service_pods, LLM_INFERENCE_SERVICE: llm_pods}
_MOST: Final = 5
_EXPECTED: Final = frozenset({"NothingToPull", "Timeout", "RateLimited", "SourceUnavailable"})
"""Why a size may not be known that says nothing of the service."""


def foresee(request: Request, caches: Caches) -> tuple[str, ...]:
    """A few sentences on a service that is created or changed; none on any other object.

    :raises Exception: on an object of a shape that the API server would not have sent; the caller answers without
    """
    if request.kind not in _MADE_BY or request.operation not in ("CREATE", "UPDATE") or request.subresource:
        return ()
    before, after = request.old_object, request.object
    if after.get("metadata", {}).get("deletionTimestamp") or _relevant(before) == _relevant(after):
        return ()
    return tuple(dict.fromkeys(_warnings(request, caches)))[:_MOST]


def _relevant(item: Json) -> tuple[object, object]:
    return item.get("spec"), (item.get("metadata") or {}).get("annotations")


def _warnings(request: Request, caches: Caches) -> Iterator[str]:
    for made in _MADE_BY[request.kind](request.object, request.namespace, caches.kserve_pods):
        for sizing in decide_pod(made.pod, request.namespace, caches).sizings:
            for known in sizing.inputs.knowledge:
                if isinstance(known, Failure) and known.reason not in _EXPECTED:
                    yield f"the size of its model is not known: {known.message}"
            if sizing.decision is None:
                continue
            yield from sizing.decision.warnings
            if request.operation == "CREATE" and sizing.decision.resources is not None:
                # Of a service that is changed, the pods that will go still count.
                yield from caches.quota(request.namespace).shortfalls(sizing.decision.resources)
