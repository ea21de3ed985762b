"""What holds in each namespace, filled by watches: annotations on it, and bounds on what its pods may have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pullsizer.limits import UNLIMITED, NamespaceLimits, namespace_limits
from pullsizer.overrides import NONE, Overrides, parse_overrides
from pullsizer.quota import UNBOUNDED, Quota, quota_of

Json = Mapping[str, Any]


class Places:
    """By name of the namespace. Items of LimitRange, ResourceQuota and Namespace as they are watched."""

    def __init__(self) -> None:
        self._limit_ranges: dict[str, dict[str, Json]] = defaultdict(dict)
        self._limits: dict[str, NamespaceLimits] = {}
        self._resource_quotas: dict[str, dict[str, Json]] = defaultdict(dict)
        self._quotas: dict[str, Quota] = {}
        self._overrides: dict[str, Overrides] = {}

    def limits(self, namespace: str) -> NamespaceLimits:
        return self._limits.get(namespace, UNLIMITED)

    def quota(self, namespace: str) -> Quota:
        return self._quotas.get(namespace, UNBOUNDED)

    def overrides(self, namespace: str) -> Overrides:
        return self._overrides.get(namespace, NONE)

    def put_limit_range(self, item: Json) -> None:
        namespace, found = _put(self._limit_ranges, item)
        self._limits[namespace] = namespace_limits(found.values())

    def remove_limit_range(self, item: Json) -> None:
        namespace, found = _remove(self._limit_ranges, item)
        if found:
            self._limits[namespace] = namespace_limits(found.values())
        else:
            self._limits.pop(namespace, None)

    def put_resource_quota(self, item: Json) -> None:
        namespace, found = _put(self._resource_quotas, item)
        self._quotas[namespace] = quota_of(found.values())

    def remove_resource_quota(self, item: Json) -> None:
        namespace, found = _remove(self._resource_quotas, item)
        if found:
            self._quotas[namespace] = quota_of(found.values())
        else:
            self._quotas.pop(namespace, None)

    def put_namespace(self, item: Json) -> None:
        metadata = item.get("metadata") or {}
        overrides, _ = parse_overrides(metadata.get("annotations"))
        if overrides:
            self._overrides[metadata["name"]] = overrides
        else:
            self._overrides.pop(metadata["name"], None)

    def remove_namespace(self, item: Json) -> None:
        self._overrides.pop(item["metadata"]["name"], None)


def _put(index: dict[str, dict[str, Json]], item: Json) -> tuple[str, Mapping[str, Json]]:
    metadata = item["metadata"]
    index[metadata["namespace"]][metadata["name"]] = item
    return metadata["namespace"], index[metadata["namespace"]]


def _remove(index: dict[str, dict[str, Json]], item: Json) -> tuple[str, Mapping[str, Json]]:
    metadata = item["metadata"]
    found = index.get(metadata["namespace"], {})
    found.pop(metadata["name"], None)
    if not found:
        index.pop(metadata["namespace"], None)
    return metadata["namespace"], found
