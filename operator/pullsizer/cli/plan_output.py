"""A plan, written down: for people, and whole for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from pullsizer import __version__
from pullsizer.admission.deciding import Sizing
from pullsizer.admission.note import written
from pullsizer.cli.console import rows
from pullsizer.cli.models import facts_written
from pullsizer.cli.planning import Planned
from pullsizer.model import Failure, ModelFacts, Source
from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY
from pullsizer.pod import Resources
from pullsizer.policy import Policy
from pullsizer.quantity import human, write
from pullsizer.sizing import Decision

_OUTCOMES: Final = {
    "sized": ("sized", "good"),
    "unchanged": ("has all that it needs", "good"),
    "recommended": ("would get this; the mode is Recommend, so the pod stays as KServe makes it", "warn"),
    "disabled": ("left alone: the mode is Disabled", "warn"),
    "not_selected": ("left alone: the policy does not select it", "warn"),
    "nothing_to_pull": ("nothing to pull", "dim"),
    "left_alone": ("left alone: no resources would be valid", "bad"),
    "unsafe_patch": ("left alone: the patch would not do what was decided; please report this", "bad"),
}
UNANSWERED_OUTCOMES: Final = frozenset({"left_alone", "unsafe_patch"})


# -- for programs -----------------------------------------------------------------------------------------------------


def as_data(planned: Iterable[Planned], policy: Policy, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "version": __version__,
        "mode": policy.mode,
        "pods": [_pod(one) for one in planned],
        "notes": list(notes),
    }


def _pod(planned: Planned) -> dict[str, Any]:
    subject, verdict = planned.subject, planned.verdict
    owner = subject.owner
    return {
        "namespace": subject.namespace,
        "pod": subject.name,
        "service": {"kind": owner.kind, "name": owner.service, "component": owner.component} if owner else None,
        "outcome": planned.outcome,
        **({"notAsked": planned.not_asked} if planned.not_asked else {}),
        "mode": verdict.mode,
        "containers": [_container(*pair) for pair in planned.decisions],
        "patch": planned.operations,
        "leftOut": [str(problem) for problem in verdict.problems],
        "assumed": list(subject.notes),
    }


def _container(sizing: Sizing, decision: Decision) -> dict[str, Any]:
    inputs = sizing.inputs
    pull = inputs.container
    return {
        "name": pull.name,
        "image": pull.image,
        "sources": [
            {**_source(source), **({} if knowledge is None else facts_written(knowledge))}
            for source, knowledge in zip(pull.sources, inputs.knowledge, strict=True)
        ],
        "before": written(inputs.current),
        "after": None if decision.resources is None else written(decision.resources),
        "environment": dict(decision.environment),
        "basis": decision.basis,
        "reasons": list(decision.reasons),
        "warnings": list(decision.warnings),
    }


def _source(source: Source) -> dict[str, Any]:
    filters = {"allow": list(source.allow), "ignore": list(source.ignore)}
    return {"uri": source.public_uri, **{key: value for key, value in filters.items() if value}}


def patches(planned: Sequence[Planned]) -> Any:
    """The JSON patch of the one pod that pulls; of several by namespace and pod."""
    pulling = [one for one in planned if one.verdict.outcome != "nothing_to_pull"]
    if len(pulling) == 1:
        return pulling[0].operations
    return {f"{one.subject.namespace}/{one.subject.name}": one.operations for one in pulling}


# -- for people -------------------------------------------------------------------------------------------------------


def show(console: Console, planned: Sequence[Planned]) -> None:
    for number, one in enumerate(planned):
        if number:
            console.print()
        _show_pod(console, one)


def _show_pod(console: Console, planned: Planned) -> None:
    subject, verdict = planned.subject, planned.verdict
    words, style = _OUTCOMES[verdict.outcome]
    if planned.not_asked:
        words, style = f"left alone: {planned.not_asked}", "warn"
    title = Text(f"{subject.namespace}/{_title(planned)}", style="head")
    console.print(title.append(": ").append(words, style=style))
    lines: list[tuple[str, str | Text]] = []
    for sizing, decision in planned.decisions:
        inputs = sizing.inputs
        for source, knowledge in zip(inputs.container.sources, inputs.knowledge, strict=True):
            lines.append(("pulls", f"{source.public_uri}  {size_words(knowledge)}"))
        lines.append(("has", amounts(inputs.current)))
        if decision.resources is not None:
            lines.append(("gets", amounts(decision.resources)))
        lines += [("sets", f"{name}={value}") for name, value in decision.environment.items()]
        lines += because(decision)
    lines += [("left out", Text(str(problem), style="warn")) for problem in verdict.problems]
    lines += [("assumed", note) for note in subject.notes]
    rows(console, lines)


def because(decision: Decision) -> Iterable[tuple[str, str | Text]]:
    """Its reasons; those for which the pull may fail stand out."""
    for position, reason in enumerate(decision.reasons):
        yield "" if position else "because", Text(reason, style="warn") if reason in decision.warnings else reason


def _title(planned: Planned) -> str:
    owner = planned.subject.owner
    return f"{owner.service} ({owner.component})" if owner else planned.subject.name


def size_words(knowledge: ModelFacts | Failure | None) -> str:
    if knowledge is None:
        return "size not known: give it by --model, or ask by --measure"
    if isinstance(knowledge, Failure):
        return f"size not known: {knowledge.message}"
    about = "about " if knowledge.basis == "estimated" else ""
    files = "1 file" if knowledge.files == 1 else f"{knowledge.files} files, largest {human(knowledge.largest)}"
    return f"{about}{human(knowledge.bytes)} in {files}"


def amounts(resources: Resources) -> str:
    """`cpu 100m…1  memory 5Gi…6Gi  disk 58Gi`: from the request to the limit."""
    parts = []
    for name, word in ((CPU, "cpu"), (MEMORY, "memory"), (EPHEMERAL_STORAGE, "disk")):
        request, limit = resources.requests.get(name), resources.limits.get(name)
        found = [write(amount, name) for amount in (request, limit) if amount is not None]
        if found:
            parts.append(f"{word} {'…'.join(dict.fromkeys(found))}")
    return "   ".join(parts) or "nothing"
