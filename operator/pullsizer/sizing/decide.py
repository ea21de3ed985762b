"""From what is known to what the container gets, and the reasons in words. The same input gives the same decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pullsizer.names import MEMORY
from pullsizer.pod import Resources
from pullsizer.quantity import write
from pullsizer.sizing.base import base
from pullsizer.sizing.bounds import (
    clamp,
    invalid,
    keep_guaranteed,
    keep_what_a_person_set,
    reckon_with_default_limits,
    use_headroom,
)
from pullsizer.sizing.computed import computed
from pullsizer.sizing.inputs import Decision, Inputs
from pullsizer.sizing.law import round_memory
from pullsizer.sizing.tuning import TUNED, tunable


def decide(inputs: Inputs) -> Decision:
    """What the container gets, and why."""
    environment: Mapping[str, str] = {}
    tuned, container = _tuned(inputs), inputs.container
    wanted = untuned = computed(inputs)
    if tuned and tunable(container.sources, container.environment):
        environment = TUNED
        wanted = computed(_with_environment(inputs, TUNED))
    reasons: list[str] = []
    basis, requests, limits = base(inputs, wanted, reasons)
    if environment:
        saved = f" in place of {write(round_memory(untuned.memory_limit), MEMORY)}" if untuned else ""
        reasons.append(f"the downloader is told to use small buffers{saved}: tune is Auto")
    keep_what_a_person_set(inputs, requests, limits, reasons)
    reckon_with_default_limits(inputs, requests, limits, reasons)
    clamp(inputs, requests, limits, reasons)
    use_headroom(inputs, requests, limits, reasons)
    keep_guaranteed(inputs, requests, limits, reasons)
    if wanted is not None and limits.get(MEMORY, wanted.working_set) < wanted.working_set:
        remedy = "" if tuned else "; downloader.tune: Auto makes it need less"
        reasons.append(
            f"the memory limit is below the {write(round_memory(wanted.working_set), MEMORY)} that the pull is likely "
            f"to need, and it may be killed{remedy if 'hf' in {s.store for s in container.sources} else ''}"
        )
    problem = invalid(inputs, requests, limits)
    if problem:
        return Decision(None, {}, basis, (problem, *reasons))
    return Decision(Resources(requests, limits), environment, basis, tuple(reasons))


def _tuned(inputs: Inputs) -> bool:
    """Whether somebody wants the downloader to need less."""
    return (inputs.overrides.tune or inputs.policy.downloader.tune) == "Auto"


def _with_environment(inputs: Inputs, environment: Mapping[str, str]) -> Inputs:
    container = replace(inputs.container, environment={**inputs.container.environment, **environment})
    return replace(inputs, container=container)
