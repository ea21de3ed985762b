"""Who wins when values clash: each step changes the amounts, and says so.

LimitRange and pod-level maxima > `bounds.max` > annotation > a person's own values > computed.
"""

from __future__ import annotations

from collections.abc import Mapping

from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY, RESOURCES
from pullsizer.quantity import write
from pullsizer.sizing.inputs import Amounts, Inputs, Reasons


def keep_what_a_person_set(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: Reasons) -> None:
    """Values that neither KServe nor the LimitRanger put there are a floor under all but annotations."""
    overrides = inputs.overrides
    sides = (
        ("request", inputs.current.requests, requests, overrides.requests),
        ("limit", inputs.current.limits, limits, overrides.limits),
    )
    for side, current, ours, asked in sides:
        for name, amount in current.items():
            if name in asked or amount <= ours.get(name, 0):
                continue
            if (name, side, amount) in inputs.kserve.defaults or (name, side) in inputs.limit_ranger:
                continue
            # An annotation on the other side of the pair stands: a request may not pass an annotated limit.
            # Nor may a limit pass below an annotated request.
            if side == "request":
                kept = min(amount, overrides.limits.get(name, amount))
            else:
                kept = max(amount, overrides.requests.get(name, amount))
            if kept <= ours.get(name, 0):
                continue
            ours[name] = kept
            if side == "request" and name in limits:
                limits[name] = max(limits[name], kept)
            reasons.append(f"{name} {side} kept at {write(kept, name)}, which somebody set")


def reckon_with_default_limits(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: Reasons) -> None:
    """A limit that is on the container, or that the LimitRanger is about to give it, may not be below our request."""
    for name, limit in limits.items():
        if name not in requests and name in inputs.current.requests:
            requests[name] = min(inputs.current.requests[name], limit)
    for name, request in list(requests.items()):
        given = inputs.current.limits.get(name, inputs.limits.default.get(name))
        bound = limits.get(name, given)
        if bound is None or request <= bound:
            continue
        if name == EPHEMERAL_STORAGE and name not in inputs.overrides.requests:
            requests[name] = bound
            reasons.warn(
                f"{name} request lowered from {write(request, name)} to {write(bound, name)}: its limit; "
                "the pull may run out of disk"
            )
        else:
            limits[name] = request
            reasons.append(f"{name} limit raised to {write(request, name)}, the request")


def clamp(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: Reasons) -> None:
    whole, ranges = inputs.pod_level, inputs.limits
    caps = (
        ("bounds.max of pullsizer-config", inputs.policy.bounds.max.known(), inputs.policy.bounds.max.known()),
        ("the pod's own resources", {**whole.limits, **_pod_requests(inputs)}, whole.limits),
        ("all that a ResourceQuota of the namespace has", *_quota_max(inputs)),
        ("the namespace's LimitRange", ranges.max, ranges.max),
        ("the namespace's LimitRange for pods", *_pod_max(inputs)),
    )
    for who, request_cap, limit_cap in caps:
        lowered = set()
        for side, amounts, cap in (("limit", limits, limit_cap), ("request", requests, request_cap)):
            for name in RESOURCES:  # in a fixed order, as replicas must give the same words
                if name not in cap or amounts.get(name, 0) <= cap[name]:
                    continue
                if name not in lowered:
                    before, after = write(amounts[name], name), write(cap[name], name)
                    reasons.append(f"{name} {side} lowered from {before} to {after}: {who}")
                lowered.add(name)
                amounts[name] = cap[name]
        for name in requests.keys() & limits.keys():
            requests[name] = min(requests[name], limits[name])
    for name, least in ranges.min.items():
        for side, amounts in (("request", requests), ("limit", limits)):
            if amounts.get(name, least) < least:
                amounts[name] = least
                reasons.append(f"{name} {side} raised to {write(least, name)}: the namespace's LimitRange")
    for name, ratio in ranges.ratio.items():
        if name in limits and name in requests and limits[name] > requests[name] * ratio:
            requests[name] = min(limits[name], -(-limits[name] * ratio.denominator // ratio.numerator))
            reasons.append(
                f"{name} request raised to {write(requests[name], name)}: the LimitRange's limit-to-request ratio"
            )
            most = _pod_requests(inputs).get(name)
            if most is not None and requests[name] > most:
                requests[name], limits[name] = most, min(limits[name], most * ratio.numerator // ratio.denominator)
                reasons.append(
                    f"{name} limit lowered to {write(limits[name], name)}: the pod's own request and that ratio"
                )


def use_headroom(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: Reasons) -> None:
    for name in (CPU, MEMORY):
        if name in inputs.overrides.requests or name not in limits or name not in requests:
            continue
        free = inputs.headroom.get(name, 0)
        if name in inputs.pod_level.requests:
            free = _pod_requests(inputs)[name]
        raised = min(limits[name], free)
        if raised > requests[name]:
            requests[name] = raised
            reasons.append(
                f"{name} request raised to {write(raised, name)}: free, the pod's other containers request more"
            )


def keep_guaranteed(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: Reasons) -> None:
    if inputs.qos != "Guaranteed" or inputs.pod_level.limits:
        return
    for name in (CPU, MEMORY):
        if name in limits and requests.get(name) != limits[name]:
            requests[name] = limits[name]
    reasons.append("requests equal limits: the pod is Guaranteed and stays so")


def invalid(inputs: Inputs, requests: Amounts, limits: Amounts) -> str:
    """Why the API server would refuse the pod with these, if it would."""
    for amounts in (requests, limits):
        for name, amount in amounts.items():
            if amount <= 0:
                return f"left alone: other containers leave no {name} for the pull"
    for name, limit in limits.items():
        if requests.get(name, 0) > limit:
            return (
                f"left alone: the {name} request {write(requests[name], name)} is above the limit {write(limit, name)}"
            )
    for name, least in inputs.limits.min.items():
        if name in requests and requests[name] < least:
            return f"left alone: {name} below the LimitRange's minimum of {write(least, name)}"
    for name, most in inputs.limits.max.items():
        if max(requests.get(name, 0), limits.get(name, 0)) > most:
            return f"left alone: {name} above the LimitRange's maximum of {write(most, name)}"
    for name, ratio in inputs.limits.ratio.items():
        if name in limits and name in requests and limits[name] > requests[name] * ratio:
            return f"left alone: {name} beyond the LimitRange's limit-to-request ratio"
    pod_requests_max, pod_limits_max = _pod_max(inputs)
    for who, amounts, caps in (
        ("the pod's own", requests, _pod_requests(inputs)),
        ("the pod's own", limits, inputs.pod_level.limits),
        ("the LimitRange's maximum for pods,", requests, pod_requests_max),
        ("the LimitRange's maximum for pods,", limits, pod_limits_max),
    ):
        for name, most in caps.items():
            if amounts.get(name, 0) > most:
                return f"left alone: {name} above {who} {write(most, name)}"
    return ""


def _pod_requests(inputs: Inputs) -> Amounts:
    """What the pod's own requests leave for the container, beside the sidecars that run while it does (KEP-2837)."""
    return _left(inputs.pod_level.requests, inputs.beside.requests)


def _pod_max(inputs: Inputs) -> tuple[Amounts, Amounts]:
    """What a LimitRange for pods leaves for the container's requests and limits."""
    most, beside = inputs.limits.pod_max, inputs.beside
    return _left(most, beside.requests), _left(most, beside.limits)


def _quota_max(inputs: Inputs) -> tuple[Amounts, Amounts]:
    """What all of a quota leaves beside the sidecars that run while the container does."""
    quota, beside = inputs.quota, inputs.beside
    return _left(quota.requests, beside.requests), _left(quota.limits, beside.limits)


def _left(amounts: Mapping[str, int], taken: Mapping[str, int]) -> Amounts:
    return {name: max(0, amount - taken.get(name, 0)) for name, amount in amounts.items()}
