"""`pullsizer config check`: whether a policy would be accepted, what it would put in force, and what looks odd."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pullsizer.cli.console import Format, dump, rows, say, stdout
from pullsizer.cli.context import policy_text
from pullsizer.cli.documents import shown
from pullsizer.cli.exits import OK, UNANSWERED
from pullsizer.cli.plan_output import amounts
from pullsizer.cli.questionable import warnings
from pullsizer.errors import InvalidPolicy
from pullsizer.pod import Resources
from pullsizer.policy import Policy, load_policy
from pullsizer.policy.resources import Amounts, Limits
from pullsizer.quantity import human


def run(path: str, *, form: Format) -> int:
    """The exit code."""
    text = policy_text(path)
    problems: tuple[str, ...] = ()
    policy: Policy | None = None
    try:
        policy = load_policy(text)
    except InvalidPolicy as error:
        problems = error.problems
    odd = warnings(policy) if policy else []
    if form != "table":
        in_force = policy.model_dump(mode="json", by_alias=True) if policy else None
        dump({"ok": not problems, "problems": list(problems), "warnings": odd, "inForce": in_force}, form)
    elif policy is None:
        for problem in problems:
            say(f"{shown(path)}: {problem}", "bad")
    else:
        stdout().print("ok: this policy would be accepted. In force:")
        rows(stdout(), _in_force(policy))
    if form == "table":
        for warning in odd:
            say(f"warning: {warning}", "warn")
    return UNANSWERED if problems else OK


def _in_force(policy: Policy) -> Iterable[tuple[str, str]]:
    """What a policy says, defaults included, in the words of docs/policy.md."""
    block = policy.model_pull_resources
    yield "mode", policy.mode
    yield "modelPullResources", _block(block.requests, block.limits)
    for tier in policy.tiers:
        size = "any size" if tier.up_to is None else f"up to {human(tier.up_to)}"
        yield "tiers", f"{size}: {_block(tier.requests, tier.limits)}"
    yield "bounds.min", _one(policy.bounds.min)
    yield "bounds.max", _one(policy.bounds.max)
    yield "downloader", f"tune {policy.downloader.tune}, profile {policy.downloader.profile or 'by the image'}"
    yield "pullTimeGoal", f"{_duration(policy.pull_time_goal)}, on a link of {policy.link_speed / 1e9:g} Gbit/s"
    yield "waitForSize", _duration(policy.wait_for_size)
    yield "refreshAfter", _duration(policy.refresh_after)
    yield "namespaces", _names(policy.namespaces.include, policy.namespaces.exclude)
    labels = policy.services.match_labels
    yield "services", ", ".join(f"{key}={value}" for key, value in labels.items()) or "all"
    yield "sources", _sources(policy)


def _duration(seconds: float) -> str:
    """`24h`, `5m`, `2s`: the largest unit of which it is a whole number."""
    unit, length = next((pair for pair in (("h", 3600), ("m", 60)) if seconds and seconds % pair[1] == 0), ("s", 1))
    return f"{seconds / length:g}{unit}"


def _block(requests: Amounts, limits: Limits) -> str:
    return amounts(Resources(requests.known(), limits.known()))


def _one(side: Amounts) -> str:
    return amounts(Resources(side.known(), {}))


def _names(include: Iterable[str], exclude: Iterable[str]) -> str:
    without = ", ".join(exclude)
    return (", ".join(include) or "none") + (f", without {without}" if without else "")


def _sources(policy: Policy) -> str:
    rules = policy.sources
    found: dict[str, Any] = {
        "the Hub at": rules.hugging_face.endpoint,
        "also networks": ", ".join(rules.allow_cidrs),
        "also endpoints": ", ".join(rules.allow_endpoints),
        "a Hub token in": ", ".join(rules.hugging_face.token.namespaces) if rules.hugging_face.token else "",
        "services' credentials in": ", ".join(rules.credentials.namespaces),
        "within": _duration(rules.timeout),
    }
    return "; ".join(f"{words} {value}" for words, value in found.items() if value)
