"""What KServe's own configuration says about pull containers: their names, and the resources it gives them.

Values that KServe gave are defaults and may go down; any other value already on a container is a person's and may not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pullsizer.errors import InvalidQuantity
from pullsizer.kserve_credentials import SHIPPED as SHIPPED_CREDENTIALS
from pullsizer.kserve_credentials import CredentialConfig, credential_config
from pullsizer.names import CPU, MEMORY, STORAGE_INITIALIZER
from pullsizer.pod import resources_of
from pullsizer.quantity import parse

Json = Mapping[str, Any]
Value = tuple[str, str, int]
"""Resource, `request` or `limit`, amount."""

SHIPPED: Final[frozenset[Value]] = frozenset(
    # charts and manifests of KServe 0.11 to 0.20; kept also where the ConfigMap was changed: pods of before live on
    {(CPU, "request", 100), (CPU, "limit", 1000), (MEMORY, "request", 100 << 20), (MEMORY, "limit", 1 << 30)}
)


@dataclass(frozen=True)
class KServe:
    """KServe's configuration, as far as it concerns pulls.

    :param containers: names of init containers that pull models
    :param defaults: every value that KServe gives one
    :param image: of its downloader; empty where that is not known
    :param credentials: how it finds those of a downloader
    """

    containers: frozenset[str] = frozenset({STORAGE_INITIALIZER})
    defaults: frozenset[Value] = SHIPPED
    image: str = ""
    credentials: CredentialConfig = SHIPPED_CREDENTIALS


def kserve_configuration(configmap: Json | None, storage_containers: Iterable[Json]) -> KServe:
    """From ConfigMap `inferenceservice-config` and the ClusterStorageContainers. What cannot be read is left out."""
    names, defaults = {STORAGE_INITIALIZER}, set(SHIPPED)
    text = ((configmap or {}).get("data") or {}).get("storageInitializer")
    try:
        block = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        block = {}
    image = ""
    if isinstance(block, dict):
        image = str(block.get("image") or "")
        for resource in (CPU, MEMORY):
            for side in ("request", "limit"):
                _note(defaults, resource, side, block.get(f"{resource}{side.capitalize()}"))
    for item in storage_containers:
        spec = item.get("spec") or {}
        # A download job's container (localModelDownloadJob) is not in a model's pod.
        if spec.get("workloadType", "initContainer") != "initContainer":
            continue
        container = spec.get("container") or {}
        if container.get("name"):
            names.add(str(container["name"]))
        try:
            resources = resources_of(container)
        except InvalidQuantity:
            continue
        defaults.update((name, "request", amount) for name, amount in resources.requests.items())
        defaults.update((name, "limit", amount) for name, amount in resources.limits.items())
    return KServe(frozenset(names), frozenset(defaults), image, credential_config(configmap))


def _note(defaults: set[Value], resource: str, side: str, text: object) -> None:
    try:
        defaults.add((resource, side, parse(str(text), resource)))
    except InvalidQuantity:
        return


INJECTED: Final = {
    "HF_HUB_ENABLE_HF_TRANSFER": "1",
    "HF_XET_HIGH_PERFORMANCE": "1",
    "HF_XET_NUM_CONCURRENT_RANGE_GETS": "8",
}
"""Variables of every pull container since v0.16 (#4726), where nobody else set them: pkg/utils/storage.go,
AddDefaultHuggingFaceEnvVars."""

DEFAULT: Final = KServe()
