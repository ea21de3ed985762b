"""`pullsizer plan`: what the webhook would do with services and pods, before they are in the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pullsizer.cli.console import dump, say, stdout
from pullsizer.cli.context import Context, context_of
from pullsizer.cli.documents import STDIN, objects
from pullsizer.cli.exits import OK, UNANSWERED, BadInput
from pullsizer.cli.measuring import Asking
from pullsizer.cli.models import load_models
from pullsizer.cli.plan_output import UNANSWERED_OUTCOMES, as_data, patches, show
from pullsizer.cli.planning import Asked, Planned, Subject, asked, plan, subjects
from pullsizer.model import Failure

PlanFormat = Literal["table", "json", "yaml", "patch"]


def run(
    files: Sequence[str],
    *,
    policy: str | None,
    models: Sequence[str],
    namespace: str,
    form: PlanFormat,
    asking: Asking | None,
) -> int:
    """The exit code.

    :param asking: how stores are asked for what is not known; None: offline
    """
    if [*files, *models, policy].count(STDIN) > 1:
        raise BadInput("standard input can be read only once; write one of the files with - to disk")
    context = context_of(objects(files), policy, namespace)
    found = subjects(context)
    if not found:
        raise BadInput("no InferenceService, LLMInferenceService or Pod in what was given: nothing to plan")
    failed = _learn(found, context, models, asking)
    planned = plan(found, context)
    for note in context.notes:
        say(note, "dim")
    if form == "table":
        show(stdout(), planned)
    elif form == "patch":
        dump(patches(planned), "json")
    else:
        dump(as_data(planned, context.caches.policy, context.notes), form)
    return UNANSWERED if failed or any(_without_answer(one) for one in planned) else OK


def _without_answer(planned: Planned) -> bool:
    return planned.outcome in UNANSWERED_OUTCOMES


def _learn(found: Sequence[Subject], context: Context, models: Sequence[str], asking: Asking | None) -> bool:
    """Make known what was given, then what stores say of the rest; whether one of those could not be measured."""
    given = load_models(models)
    unknown: list[Asked] = []
    for one in asked(found, context):
        knowledge = given.find(one.source)
        if knowledge is not None:
            one.tell(context.caches, knowledge)
        elif not one.is_known(context.caches):
            unknown.append(one)
    if asking is None:
        return False
    measured = asking.measure((one.source for one in unknown), context.caches.policy.sources)
    for one in unknown:
        one.tell(context.caches, measured[one.source])
    return any(isinstance(knowledge, Failure) for knowledge in measured.values())
