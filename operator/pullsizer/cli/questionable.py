"""What a valid policy may say by mistake, each as a sentence. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from pullsizer.names import CPU, MEMORY
from pullsizer.policy import Policy
from pullsizer.quantity import GI, write

_METADATA: Final = ip_address("169.254.169.254")
_DAY: Final = 86400


def warnings(policy: Policy) -> list[str]:
    return [*_selection(policy), *_amounts(policy), *_times(policy), *_sources(policy)]


def _selection(policy: Policy) -> Iterator[str]:
    if policy.mode == "Disabled":
        yield "mode: Disabled touches no pod, whatever annotations say"
    elif policy.mode == "Recommend":
        yield "mode: Recommend decides and changes no pod, but where an annotation says Auto"
    chosen = policy.namespaces
    if not chosen.include:
        yield 'namespaces.include: is empty, so no pod is sized; write ["*"] for all'
    for name in chosen.exclude:
        if name in chosen.include or name == "*":
            yield f"namespaces.exclude: {name!r} takes back what include names, and excluding wins"


def _amounts(policy: Policy) -> Iterator[str]:
    block = policy.model_pull_resources
    requests, limits = block.requests.known(), block.limits.known()
    most = policy.bounds.max.known()
    for name, limit in limits.items():
        if name not in requests:
            yield f"modelPullResources.limits.{name}: has no request beside it, so {write(limit, name)} is that too"
    if limits.get(MEMORY, GI) < GI:
        yield (
            f"modelPullResources.limits.memory: {write(limits[MEMORY], MEMORY)} is less than the 1Gi that KServe gives "
            "by itself"
        )
    for name, amount in most.items():
        if max(limits.get(name, 0), requests.get(name, 0)) > amount:
            yield f"bounds.max.{name}: {write(amount, name)} is below modelPullResources, which it cuts down"
    if most.get(MEMORY, GI) < GI:
        yield (
            f"bounds.max.memory: {write(most[MEMORY], MEMORY)} is less than the 1Gi that KServe gives by itself; large "
            "pulls will be killed"
        )
    if most.get(CPU, 1000) < 100:
        yield f"bounds.max.cpu: pulls at {write(most[CPU], CPU)} take many times as long"
    for name, amount in policy.bounds.min.known().items():
        if name == MEMORY and amount > 8 * GI:
            yield f"bounds.min.memory: {write(amount, name)} is reserved in every pod, however small its model"
    before: dict[str, int] = {}
    for number, tier in enumerate(policy.tiers):
        now = tier.limits.known()
        for name in sorted(now.keys() & before.keys()):
            if now[name] < before[name]:
                yield f"tiers[{number}].limits.{name}: is less than the row for smaller models has"
        before = {**before, **now}


def _times(policy: Policy) -> Iterator[str]:
    if policy.wait_for_size == 0:
        yield "waitForSize: 0s lets the first pod of every new model start with modelPullResources"
    if policy.refresh_after < 600:
        yield "refreshAfter: stores are asked about every model more than six times an hour"
    if policy.refresh_after > 30 * _DAY:
        yield "refreshAfter: a model that grows is noticed after more than a month"
    if policy.sources.timeout > 120:
        yield "sources.timeout: a store that does not answer keeps its place in the queue for more than two minutes"
    if policy.link_speed < 100_000_000:
        yield "linkSpeed: is in bits a second; this is less than 100 Mbit/s"


def _sources(policy: Policy) -> Iterator[str]:
    rules = policy.sources
    for text in rules.allow_cidrs:
        network = ip_network(text)
        if network.version == 4 and _METADATA in network:
            yield f"sources.allowCIDRs: {text} lets users ask the cloud's metadata service in the operator's name"
        elif network.is_loopback or ip_address("127.0.0.1" if network.version == 4 else "::1") in network:
            yield f"sources.allowCIDRs: {text} lets users ask the operator's own pod"
    hub = rules.hugging_face
    if hub.token is not None:
        if hub.endpoint.startswith("http://"):
            yield "sources.huggingFace.endpoint: the token goes there unencrypted; write https://"
        if not hub.token.namespaces:
            yield "sources.huggingFace.token.namespaces: is empty, so the token is never used"
    elif hub.requests_per_5_minutes > 500 and hub.endpoint == "https://huggingface.co":
        yield "sources.huggingFace.requestsPer5Minutes: the Hub allows strangers 500, and answers with errors beyond"
    listed = [("credentials", rules.credentials.namespaces)]
    listed += [("huggingFace.token", hub.token.namespaces)] if hub.token else []
    for where, names in listed:
        for name in names:
            if "*" in name or "?" in name:
                yield f"sources.{where}.namespaces: {name!r} is no pattern there, but the exact name of a namespace"
