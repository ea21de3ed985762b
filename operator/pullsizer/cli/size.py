"""`pullsizer size`: how big models are, and what pulls of them would get."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from pullsizer.admission.deciding import decide_pod
from pullsizer.admission.note import written
from pullsizer.cli.console import Format, dump, rows, stdout
from pullsizer.cli.context import Context, context_of
from pullsizer.cli.exits import OK, UNANSWERED
from pullsizer.cli.measuring import Asking
from pullsizer.cli.models import written as model_written
from pullsizer.cli.plan_output import amounts, because, size_words
from pullsizer.cli.planning import Asked
from pullsizer.kserve_pods import pulling_pod
from pullsizer.model import Failure, Knowledge, ModelFacts, Source
from pullsizer.policy import Policy
from pullsizer.quantity import human
from pullsizer.sizing import Decision

_NAMESPACE = "default"
Sized = tuple[Source, Knowledge, Decision | None]


def run(
    uris: Sequence[str],
    *,
    allow: Sequence[str],
    ignore: Sequence[str],
    policy: str | None,
    form: Format,
    asking: Asking,
) -> int:
    """The exit code."""
    context = context_of([], policy, _NAMESPACE)
    # What the policy says of whose pods are sized is no question here.
    context.caches.policy = context.caches.policy.model_copy(
        update={name: getattr(Policy(), name) for name in ("mode", "namespaces", "services")}
    )
    sources = [Source(uri, tuple(allow), tuple(ignore)) for uri in dict.fromkeys(uris)]
    measured = asking.measure(sources, context.caches.policy.sources)
    sized = [(source, knowledge, _decision(source, knowledge, context)) for source, knowledge in measured.items()]
    if form == "table":
        _show(stdout(), sized)
    else:
        dump([_data(*one) for one in sized], form)
    return UNANSWERED if any(isinstance(knowledge, Failure) for knowledge in measured.values()) else OK


def _decision(source: Source, knowledge: Knowledge, context: Context) -> Decision | None:
    """What the pull gets in a pod that has nothing else; None where it is not known how big it is."""
    if isinstance(knowledge, Failure):
        return None
    Asked(_NAMESPACE, None, source).tell(context.caches, knowledge)
    filters = {"STORAGE_ALLOW_PATTERNS": source.allow, "STORAGE_IGNORE_PATTERNS": source.ignore}
    environment = {name: json.dumps(patterns) for name, patterns in filters.items() if patterns}
    verdict = decide_pod(pulling_pod(source.uri, environment, context.kserve), _NAMESPACE, context.caches)
    return next((sizing.decision for sizing in verdict.sizings), None)


def _data(source: Source, knowledge: Knowledge, decision: Decision | None) -> dict[str, Any]:
    found: dict[str, Any] = {"model": model_written(source, knowledge)}
    if decision is not None and decision.resources is not None:
        found["gets"] = {**written(decision.resources), "environment": dict(decision.environment)}
        found["reasons"] = list(decision.reasons)
    return found


def _show(console: Console, sized: Iterable[Sized]) -> None:
    for number, (source, knowledge, decision) in enumerate(sized):
        if number:
            console.print()
        console.print(Text(source.public_uri, style="head"))
        if isinstance(knowledge, Failure):
            rows(console, [("failed", Text(f"{knowledge.reason}: {knowledge.message}", style="bad"))])
            continue
        rows(console, [*_facts(knowledge), *_gets(decision)])


def _facts(facts: ModelFacts) -> Iterable[tuple[str, str]]:
    yield "size", f"{size_words(facts)}; {facts.bytes} bytes"
    if facts.archive:
        unpacked = human(facts.unpacked) if facts.unpacked else "not told by the archive"
        yield "archive", f"{facts.archive}, unpacked {unpacked}"
    if facts.revision:
        yield "revision", facts.revision
    yield "basis", facts.basis


def _gets(decision: Decision | None) -> Iterable[tuple[str, str | Text]]:
    if decision is None or decision.resources is None:
        return
    yield "gets", amounts(decision.resources)
    yield from (("sets", f"{name}={value}") for name, value in decision.environment.items())
    yield from because(decision)
