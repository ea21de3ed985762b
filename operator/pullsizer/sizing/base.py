"""What a container should have, before anybody bounds it.

The base of each value: explicit annotation → the administrator's tier table → computed from the model → cluster-wide
`modelPullResources`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pullsizer.model import ModelFacts
from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY
from pullsizer.overrides import Overrides
from pullsizer.policy import Tier
from pullsizer.quantity import write
from pullsizer.sizing.computed import facts_of
from pullsizer.sizing.inputs import Amounts, Basis, Inputs, Reasons
from pullsizer.sizing.law import Need, cpu_limit, cpu_request, round_memory


def base(inputs: Inputs, wanted: Need | None, reasons: Reasons) -> tuple[Basis, Amounts, Amounts]:
    policy, overrides = inputs.policy, inputs.overrides
    basis: Basis = "default"
    # Where the policy says nothing of a value, the container keeps what it has.
    requests = {name: inputs.current.requests[name] for name in (CPU, MEMORY) if name in inputs.current.requests}
    limits = {name: inputs.current.limits[name] for name in (CPU, MEMORY) if name in inputs.current.limits}
    block = policy.model_pull_resources
    _take(block.requests.known(), block.limits.known(), requests, limits)
    if wanted is None:
        missing = next((item for item in inputs.knowledge if not isinstance(item, ModelFacts)), None)
        why = missing.message if missing is not None else "there was no answer yet"
        reasons.append(f"size not known ({why}): modelPullResources")
    else:
        basis = "model"
        reasons.append(wanted.why)
        if wanted.unsure:
            reasons.append(f"reckoned with {wanted.unsure}")
        requests = {CPU: cpu_request(wanted, policy), MEMORY: round_memory(wanted.working_set)}
        limits = {CPU: cpu_limit(wanted, policy), MEMORY: round_memory(wanted.memory_limit)}
        if wanted.disk:
            requests[EPHEMERAL_STORAGE] = round_memory(wanted.disk)
        tier = _tier(inputs)
        if tier is not None:
            basis = "tier"
            reasons.append("the administrator's tier for models of this size")
            _take(tier.requests.known(), tier.limits.known(), requests, limits)
    least = policy.bounds.min.known()
    for name, amount in least.items():
        if requests.get(name, 0) < amount and (name != EPHEMERAL_STORAGE or name in requests):
            requests[name] = amount
            limits[name] = max(limits.get(name, amount), amount)
            reasons.append(f"{name} request raised to bounds.min, {write(amount, name)}")
    limits.pop(EPHEMERAL_STORAGE, None)
    if overrides.requests or overrides.limits:
        basis = "annotation"
        reasons.insert(0, "set by annotation: " + ", ".join(_named(overrides)))
        _take(overrides.requests, overrides.limits, requests, limits)
    for name in (CPU, MEMORY):
        if name in limits:  # as the API server has it
            requests.setdefault(name, limits[name])
    if EPHEMERAL_STORAGE in requests and EPHEMERAL_STORAGE not in overrides.requests:
        amount = requests[EPHEMERAL_STORAGE]
        if inputs.container.medium != "disk":
            del requests[EPHEMERAL_STORAGE]
        elif inputs.node_disk is not None and amount > inputs.node_disk:
            del requests[EPHEMERAL_STORAGE]
            reasons.warn(
                f"no known node has {write(amount, EPHEMERAL_STORAGE)} of ephemeral storage, so none is requested; "
                "the pull may run out of disk"
            )
    return basis, requests, limits


def _take(new_requests: Mapping[str, int], new_limits: Mapping[str, int], requests: Amounts, limits: Amounts) -> None:
    """Put the new values over the old; where only one side is named, the other gives way."""
    for name, amount in new_requests.items():
        requests[name] = amount
        if name in limits and name not in new_limits:
            limits[name] = max(limits[name], amount)
    for name, amount in new_limits.items():
        limits[name] = amount
        if name in requests and name not in new_requests:
            requests[name] = min(requests[name], amount)


def _named(overrides: Overrides) -> list[str]:
    return [
        f"{name} {side} {write(amount, name)}"
        for side, amounts in (("request", overrides.requests), ("limit", overrides.limits))
        for name, amount in amounts.items()
    ]


def _tier(inputs: Inputs) -> Tier | None:
    size = sum(item.bytes for item in facts_of(inputs) or ())
    return next((tier for tier in inputs.policy.tiers if tier.up_to is None or size <= tier.up_to), None)
