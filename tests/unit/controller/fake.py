"""A KubeApi that remembers what was asked, of which a test says what it answers. Real ones: tests/cluster."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pullsizer.cluster import KubeApi
from pullsizer.errors import ClusterError, NotFound


class FakeApi(KubeApi):
    """Objects by their paths; an apply keeps spec and status apart, as the real one does."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.fail: dict[str, ClusterError] = {}
        self._version = 0

    async def get(self, path: str) -> dict[str, Any]:
        self._note("GET", path)
        if path not in self.objects:
            raise NotFound(404, path)
        return copy.deepcopy(self.objects[path])

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self._note("POST", path)
        target = f"{path}/{body['metadata']['name']}"
        if target in self.objects:
            raise ClusterError(409, "there is one")
        return self._store(target, {}, body)

    async def apply(
        self, path: str, body: Mapping[str, Any], *, field_manager: str, subresource: str = ""
    ) -> dict[str, Any]:
        self._note("APPLY", f"{path}/{subresource}" if subresource else path)
        before = self.objects.get(path)
        if before is None and subresource:
            raise NotFound(404, path)
        ours = {key: value for key, value in body.items() if (key == "status") == bool(subresource)}
        return self._store(path, before or {}, ours)

    async def delete(self, path: str, *, uid: str = "") -> None:
        self._note("DELETE", path)
        if path not in self.objects:
            raise NotFound(404, path)
        assert self.objects[path]["metadata"]["uid"] == uid
        del self.objects[path]

    def _note(self, verb: str, path: str) -> None:
        self.calls.append((verb, path))
        if verb in self.fail:
            raise self.fail[verb]

    def _store(self, path: str, before: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        self._version += 1
        after = copy.deepcopy({**before, **body})
        metadata = {"uid": f"uid-{self._version}", "generation": 1, **before.get("metadata", {})}
        if "spec" in body and "spec" in before and body["spec"] != before["spec"]:
            metadata["generation"] += 1
        metadata |= {**(body.get("metadata") or {}), "resourceVersion": str(self._version)}
        after["metadata"] = metadata
        self.objects[path] = after
        return copy.deepcopy(after)
