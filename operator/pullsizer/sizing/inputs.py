"""What a decision is made from, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pullsizer.kserve import DEFAULT as KSERVE_DEFAULT
from pullsizer.kserve import KServe
from pullsizer.limits import UNLIMITED, NamespaceLimits
from pullsizer.model import Knowledge
from pullsizer.overrides import NONE, Overrides
from pullsizer.pod import Qos, Resources
from pullsizer.policy import Policy
from pullsizer.pulls import PullContainer
from pullsizer.quota import NO_QUOTA, Allowance

Basis = Literal["annotation", "tier", "model", "default"]
Amounts = dict[str, int]


@dataclass(frozen=True)
class Inputs:
    """All that a decision depends on. Amounts in millicores and bytes.

    :param knowledge: of each of the container's sources, in order; None where there is no answer yet
    :param limit_ranger: which of the current values the LimitRanger filled in
    :param headroom: what the container may request for free
    :param beside: what sidecars have that run while the container does
    :param pod_level: the pod's own `spec.resources`
    :param quota: what the namespace's ResourceQuotas allow in all
    :param node_disk: ephemeral storage of the largest known node; None where no node is known
    :param node_memory: and memory, likewise
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
    quota: Allowance = NO_QUOTA
    node_disk: int | None = None
    node_memory: int | None = None


@dataclass(frozen=True)
class Decision:
    """What the container gets. Amounts in millicores and bytes.

    :param resources: whole; None where there is no valid answer, and the container stays as it is
    :param environment: variables to set
    :param basis: the strongest of the bases that a value came from
    :param reasons: in words, the most important first
    :param warnings: those of them that say how the pull may fail
    """

    resources: Resources | None
    environment: Mapping[str, str]
    basis: Basis
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Reasons(list[str]):
    """Of a decision, as it is made; some are warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """A reason for which the pull, or its pod, may fail."""
        self.append(text)
        self.warnings.append(text)
