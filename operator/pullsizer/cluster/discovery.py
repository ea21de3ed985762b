"""Which version of a resource to ask for: the one that the API server prefers among those that have it.

kopf takes the preferred version of the whole group, in which a newer resource of the group may not be: KServe's
LLMInferenceService is not in v1beta1.
"""

from __future__ import annotations

from collections.abc import Collection

from pullsizer.cluster.client import KubeApi
from pullsizer.errors import NotFound


async def served_versions(api: KubeApi, group: str, plurals: Collection[str]) -> dict[str, str]:
    """Of each resource that there is."""
    found: dict[str, str] = {}
    try:
        # The API server lists them by its preference: stable before beta before alpha, newer before older.
        for version in (await api.get(f"/apis/{group}"))["versions"]:
            resources = (await api.get(f"/apis/{version['groupVersion']}"))["resources"]
            for name in {str(resource["name"]) for resource in resources}.intersection(plurals):
                found.setdefault(name, str(version["version"]))
    except NotFound:
        return found
    return found
