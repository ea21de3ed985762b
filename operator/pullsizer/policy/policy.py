"""The whole policy, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from pydantic import Field, model_validator

from pullsizer.errors import InvalidValue
from pullsizer.policy.fields import BitsPerSecond, ModeField, Model, Profile, Seconds, TuneField
from pullsizer.policy.resources import Bounds, ResourceBlock, Tier
from pullsizer.policy.sources import SourceRules

WEBHOOK_TIMEOUT_SECONDS: Final = 5
"""`timeoutSeconds` of our webhooks in deploy/base; the wait for a size must end a second before it."""


class NamespaceSelection(Model):
    """Names, with `*` and `?`. A namespace is selected if it is included and not excluded."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


class ServiceSelection(Model):
    """By the labels of a service, which KServe copies to its pods. Empty selects all."""

    match_labels: dict[str, str] = Field(default_factory=dict)


class DownloaderRules(Model):
    """What the operator may assume of KServe's downloader, and do to it."""

    tune: TuneField = "Disabled"
    """Auto: where a container has just what KServe injects, the downloader is told to use small buffers."""
    profile: Profile | None = None
    """Which release's downloader it is, where the image's tag does not tell; None: the most demanding of all."""


class Policy(Model):
    """The whole policy."""

    mode: ModeField = "Auto"
    model_pull_resources: ResourceBlock = ResourceBlock.model_validate(
        # What a pull of unknown size gets. Limits: enough for every downloader but hf's on files above 3 GiB
        # (docs/sizing.md); requests stay reserved for the pod's whole life, so they are a quarter of that.
        {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}}
    )
    tiers: tuple[Tier, ...] = ()
    bounds: Bounds = Bounds()
    downloader: DownloaderRules = DownloaderRules()
    pull_time_goal: Seconds = 300
    """In how many seconds a pull should be done on a node with no CPU to spare: what CPU requests are computed from."""
    link_speed: BitsPerSecond = 10_000_000_000
    """Of a node, in bits a second, as in Kubernetes' bandwidth annotations. CPU beyond what it can feed is wasted."""
    wait_for_size: Seconds = 2
    refresh_after: Seconds = 86400
    namespaces: NamespaceSelection = NamespaceSelection()
    services: ServiceSelection = ServiceSelection()
    sources: SourceRules = SourceRules()

    @model_validator(mode="after")
    def _consistent(self) -> Policy:
        if self.wait_for_size > WEBHOOK_TIMEOUT_SECONDS - 1:
            raise InvalidValue(
                f"waitForSize: must end a second before the webhook's own timeout of {WEBHOOK_TIMEOUT_SECONDS}s; "
                f"write {WEBHOOK_TIMEOUT_SECONDS - 1}s or less"
            )
        if self.sources.timeout < 1:
            raise InvalidValue("sources.timeout: no store answers in less than a second every time; write 1s or more")
        if self.pull_time_goal < 1:
            raise InvalidValue("pullTimeGoal: no pull is done in less than a second; write 1s or more")
        if self.link_speed < 1_000_000:
            raise InvalidValue("linkSpeed: bits a second, for example 10G; this would be slower than a modem's line")
        if self.refresh_after < 60:
            raise InvalidValue("refreshAfter: models are asked about again at most once a minute; write 1m or more")
        sizes = [tier.up_to for tier in self.tiers]
        if any(size is None for size in sizes[:-1]):
            raise InvalidValue("tiers: only the last row may lack upTo; give the others one")
        ordered = [size for size in sizes if size is not None]
        if ordered != sorted(set(ordered)):
            raise InvalidValue("tiers: upTo must grow from row to row; sort the rows")
        return self

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether pods in the namespace, with those labels, are ours to size."""
        chosen = self.namespaces
        if not any(fnmatchcase(namespace, pattern) for pattern in chosen.include):
            return False
        if any(fnmatchcase(namespace, pattern) for pattern in chosen.exclude):
            return False
        return all(labels.get(key) == value for key, value in self.services.match_labels.items())


DEFAULT: Final = Policy(mode="Recommend")
"""Until a policy was accepted: decide and say so, and change nothing."""
