"""Why a pod has no annotation of ours, in words, by what can be seen now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pullsizer.admission.deciding import Verdict, decide_pod
from pullsizer.cli.context import PLANNED, context_of
from pullsizer.cli.documents import Object
from pullsizer.errors import InvalidQuantity
from pullsizer.names import SIZING
from pullsizer.overrides import MODE
from pullsizer.selectors import why_not_asked

_WORDS: Final = {
    "disabled": f"the mode is Disabled, by the policy or by the annotation {MODE}",
    "not_selected": "the policy does not select it: see namespaces and services there",
    "recommended": f"the mode is Recommend, by the policy or by the annotation {MODE}: decisions are told, not applied",
    "unsafe_patch": "the patch would not have done what was decided; please report this",
}
_NOT_CALLED: Final = (
    "nothing keeps a new pod like it from being sized now; when this one was made, the webhook was not called or gave "
    "no answer: Pullsizer was installed later, was not ready, or could not be reached"
)


def why_not_sized(pod: Object, around: Iterable[Object], namespace: str) -> Iterator[str]:
    """The reasons.

    :param around: what the webhook would know: the accepted policy, the namespace, KServe's configuration, ModelPulls
    """
    metadata = pod["metadata"]
    context = context_of([item for item in around if item["kind"] not in PLANNED], None, namespace)
    if SIZING in (metadata.get("annotations") or {}):
        yield f"its annotation {SIZING} is not one that Pullsizer wrote"
    labels = context.namespace_labels.get(namespace, {})
    if not_asked := why_not_asked(metadata.get("labels") or {}, namespace, labels):
        yield not_asked
        return
    try:
        verdict = decide_pod(pod, namespace, context.caches)
    except (InvalidQuantity, TypeError, AttributeError, KeyError):
        yield "it is not a pod that the API server would take"
        return
    yield from (f"left out of the decision: {problem}" for problem in verdict.problems)
    yield _reason(pod, verdict)


def _reason(pod: Object, verdict: Verdict) -> str:
    if verdict.outcome == "nothing_to_pull":
        found = [str(item.get("name")) for item in (pod.get("spec") or {}).get("initContainers") or ()]
        names = f"its init containers are {', '.join(found)}" if found else "it has no init container"
        return f"nothing in it pulls a model ({names}): pvc:// is mounted, and the node pulls oci:// as it does images"
    if verdict.outcome == "left_alone":
        return "; ".join(sizing.decision.reasons[0] for sizing in verdict.sizings if sizing.decision)
    return _WORDS.get(verdict.outcome, _NOT_CALLED)
