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
from pullsizer.sizing.inputs import Amounts, Decision, Inputs, Reasons
from pullsizer.sizing.law import Need, round_memory
from pullsizer.sizing.tuning import TUNED, tunable


def decide(inputs: Inputs) -> Decision:
    """What the container gets, and why."""
    environment: Mapping[str, str] = {}
    tuned, container = _tuned(inputs), inputs.container
    wanted = untuned = computed(inputs)
    if tuned and tunable(container.sources, container.environment):
        environment = TUNED
        wanted = computed(_with_environment(inputs, TUNED))
    reasons = Reasons()
    basis, requests, limits = base(inputs, wanted, reasons)
    if environment:
        saved = f" in place of {write(round_memory(untuned.memory_limit), MEMORY)}" if untuned else ""
        reasons.append(f"the downloader is told to use small buffers{saved}: tune is Auto")
    keep_what_a_person_set(inputs, requests, limits, reasons)
    reckon_with_default_limits(inputs, requests, limits, reasons)
    clamp(inputs, requests, limits, reasons)
    use_headroom(inputs, requests, limits, reasons)
    keep_guaranteed(inputs, requests, limits, reasons)
    _warn(inputs, wanted, requests, limits, reasons)
    problem = invalid(inputs, requests, limits)
    if problem:
        return Decision(None, {}, basis, (problem, *reasons), (problem,))
    return Decision(Resources(requests, limits), environment, basis, tuple(reasons), tuple(reasons.warnings))


def _warn(inputs: Inputs, wanted: Need | None, requests: Amounts, limits: Amounts, reasons: Reasons) -> None:
    """Of what nobody is kept from: a limit that may kill, and a request that no node can hold."""
    if wanted is not None and limits.get(MEMORY, wanted.working_set) < wanted.working_set:
        could_be_tuned = not _tuned(inputs) and tunable(inputs.container.sources, inputs.container.environment)
        reasons.warn(
            f"the memory limit is below the {write(round_memory(wanted.working_set), MEMORY)} that the pull is likely "
            "to need, and it may be killed" + ("; downloader.tune: Auto makes it need less" if could_be_tuned else "")
        )
    memory = requests.get(MEMORY, 0)
    if inputs.node_memory is not None and memory > inputs.node_memory:
        # Never lowered for that: autoscalers add nodes, and a limit below the need is an OOM kill by design.
        reasons.warn(f"no known node has {write(memory, MEMORY)} of memory; the pod may stay pending")


def _tuned(inputs: Inputs) -> bool:
    """Whether somebody wants the downloader to need less."""
    return (inputs.overrides.tune or inputs.policy.downloader.tune) == "Auto"


def _with_environment(inputs: Inputs, environment: Mapping[str, str]) -> Inputs:
    container = replace(inputs.container, environment={**inputs.container.environment, **environment})
    return replace(inputs, container=container)
