"""From what is known to what the container gets: precedence, clashes, and the reasons in words.

Base of each value: explicit annotation → the administrator's tier table → computed from the model → cluster-wide
`modelPullResources`. Who wins when they clash: LimitRange and pod-level maxima > `bounds.max` > annotation > a person's
own values > computed. The same input gives the same decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from pullsizer.kserve import DEFAULT as KSERVE_DEFAULT
from pullsizer.kserve import KServe
from pullsizer.limits import UNLIMITED, NamespaceLimits
from pullsizer.model import Knowledge, ModelFacts
from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY, RESOURCES
from pullsizer.overrides import NONE, Overrides
from pullsizer.pod import Qos, Resources
from pullsizer.policy import Policy, Tier
from pullsizer.pulls import PullContainer
from pullsizer.quantity import write
from pullsizer.sizing.downloader import TUNED, hugging_face_downloader
from pullsizer.sizing.law import Need, combined, hungriest, in_memory, need, request_for, round_memory

Basis = Literal["annotation", "tier", "model", "default"]
Amounts = dict[str, int]

_ASSUMED_SHARD: Final = 10_000_000_000
"""Largest file, in bytes, of a model whose size alone was given: transformers cut shards of 10 GB, later of 5."""
_ASSUMED_FILES: Final = 8
"""And how many it has, at least: as many as any downloader fetches at once."""


@dataclass(frozen=True)
class Inputs:
    """All that a decision depends on. Amounts in millicores and bytes.

    :param knowledge: of each of the container's sources, in order; None where there is no answer yet
    :param limit_ranger: which of the current values the LimitRanger filled in
    :param headroom: what the container may request for free
    :param beside: what sidecars have that run while the container does
    :param pod_level: the pod's own `spec.resources`
    :param node_disk: ephemeral storage of the largest known node; None where no node is known
    """

    container: PullContainer
    knowledge: tuple[Knowledge | None, ...]
    policy: Policy
    current: Resources = field(default_factory=Resources)
    overrides: Overrides = NONE
    limit_ranger: frozenset[tuple[str, str]] = frozenset()
    headroom: Mapping[str, int] = field(default_factory=dict)
    qos: Qos = "Burstable"
    beside: Resources = field(default_factory=Resources)
    pod_level: Resources = field(default_factory=Resources)
    limits: NamespaceLimits = UNLIMITED
    kserve: KServe = KSERVE_DEFAULT
    node_disk: int | None = None


@dataclass(frozen=True)
class Decision:
    """What the container gets. Amounts in millicores and bytes.

    :param resources: whole; None where there is no valid answer, and the container stays as it is
    :param environment: variables to set
    :param basis: the strongest of the bases that a value came from
    :param reasons: in words, the most important first
    """

    resources: Resources | None
    environment: Mapping[str, str]
    basis: Basis
    reasons: tuple[str, ...]


def decide(inputs: Inputs) -> Decision:
    """What the container gets, and why."""
    wanted = _computed(inputs)
    first = _decide(inputs, wanted, {})
    if wanted is None or first.resources is None:
        return first
    # A pull that cannot have what it needs, by whose word ever, dies by design. The downloader can be told to need less
    # unless somebody set its variables.
    if first.resources.limits.get(MEMORY, 0) < wanted.working_set and _tunable(inputs):
        less = _computed(_with_environment(inputs, TUNED))
        tuned = _decide(inputs, less, TUNED)
        if tuned.resources is not None and less is not None and less.working_set < wanted.working_set:
            return tuned
    return first


def _decide(inputs: Inputs, wanted: Need | None, environment: Mapping[str, str]) -> Decision:
    reasons: list[str] = []
    basis, requests, limits = _base(inputs, wanted, reasons)
    if environment:
        reasons.append("the downloader is told to use small buffers, since the limit may not be what it would need")
    _keep_what_a_person_set(inputs, requests, limits, reasons)
    _reckon_with_default_limits(inputs, requests, limits, reasons)
    _clamp(inputs, requests, limits, reasons)
    _use_headroom(inputs, requests, limits, reasons)
    _keep_guaranteed(inputs, requests, limits, reasons)
    problem = _invalid(inputs, requests, limits)
    if problem:
        return Decision(None, {}, basis, (problem, *reasons))
    return Decision(Resources(requests, limits), environment, basis, tuple(reasons))


def _base(inputs: Inputs, wanted: Need | None, reasons: list[str]) -> tuple[Basis, Amounts, Amounts]:
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
        requests = {CPU: request_for(wanted.core_seconds), MEMORY: round_memory(wanted.working_set)}
        limits = {CPU: wanted.cpu_limit, MEMORY: round_memory(wanted.memory_limit)}
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
            reasons.append(
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


def _computed(inputs: Inputs) -> Need | None:
    """By the law, if all of the model is known."""
    facts = _facts(inputs)
    if facts is None:
        return None
    container = inputs.container
    downloader = hugging_face_downloader(container.environment, container.image)
    schemes = [source.scheme for source in container.sources]
    if inputs.overrides.model_size is not None:
        whole = hungriest(schemes, facts[0], downloader)
    else:
        whole = combined([need(scheme, item, downloader) for scheme, item in zip(schemes, facts, strict=True)])
    return in_memory(whole) if container.medium == "memory" else whole


def _facts(inputs: Inputs) -> tuple[ModelFacts, ...] | None:
    known = tuple(item for item in inputs.knowledge if isinstance(item, ModelFacts))
    size = inputs.overrides.model_size
    if size is not None:
        # A person knows the size better than nobody, and better than what was measured; not how it is split.
        largest = max((item.largest for item in known), default=_ASSUMED_SHARD)
        files = sum(item.files for item in known) or max(_ASSUMED_FILES, -(-size // _ASSUMED_SHARD))
        return (ModelFacts(bytes=size, files=files, largest=min(size, largest)),)
    return known if known and len(known) == len(inputs.knowledge) else None


def _tier(inputs: Inputs) -> Tier | None:
    size = sum(item.bytes for item in _facts(inputs) or ())
    return next((tier for tier in inputs.policy.tiers if tier.up_to is None or size <= tier.up_to), None)


def _tunable(inputs: Inputs) -> bool:
    """Only what KServe injects is changed, never a value of somebody's own."""
    environment = inputs.container.environment
    return any(source.scheme == "hf" for source in inputs.container.sources) and all(
        environment.get(name, injected) == injected
        for name, injected in (
            ("HF_HUB_ENABLE_HF_TRANSFER", "1"),
            ("HF_XET_HIGH_PERFORMANCE", "1"),
            *((name, value) for name, value in TUNED.items() if "BUFFER" in name),
        )
    )


def _with_environment(inputs: Inputs, environment: Mapping[str, str]) -> Inputs:
    container = replace(inputs.container, environment={**inputs.container.environment, **environment})
    return replace(inputs, container=container)


def _keep_what_a_person_set(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: list[str]) -> None:
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


def _reckon_with_default_limits(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: list[str]) -> None:
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
            reasons.append(
                f"{name} request lowered from {write(request, name)} to {write(bound, name)}: its limit; "
                "the pull may run out of disk"
            )
        else:
            limits[name] = request
            reasons.append(f"{name} limit raised to {write(request, name)}, the request")


def _clamp(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: list[str]) -> None:
    whole, ranges = inputs.pod_level, inputs.limits
    caps = (
        ("bounds.max of pullsizer-config", inputs.policy.bounds.max.known(), inputs.policy.bounds.max.known()),
        ("the pod's own resources", {**whole.limits, **_pod_requests(inputs)}, whole.limits),
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


def _use_headroom(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: list[str]) -> None:
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


def _keep_guaranteed(inputs: Inputs, requests: Amounts, limits: Amounts, reasons: list[str]) -> None:
    if inputs.qos != "Guaranteed" or inputs.pod_level.limits:
        return
    for name in (CPU, MEMORY):
        if name in limits and requests.get(name) != limits[name]:
            requests[name] = limits[name]
    reasons.append("requests equal limits: the pod is Guaranteed and stays so")


def _invalid(inputs: Inputs, requests: Amounts, limits: Amounts) -> str:
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


def _left(amounts: Mapping[str, int], taken: Mapping[str, int]) -> Amounts:
    return {name: max(0, amount - taken.get(name, 0)) for name, amount in amounts.items()}
