"""Kubeconfigs: one, or several that count as one, as `$KUBECONFIG` names them and kubectl takes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pullsizer.errors import ClusterError


@dataclass(frozen=True)
class Kubeconfig:
    """What is chosen of all files.

    :param paths: of the files that are there, for the official client, which puts them together: the first entry of a
        name counts, as for kubectl
    :param context: the first file's that names one, as for kubectl; the official client would take the last
    :param namespace: of that context
    """

    paths: str
    context: str | None
    namespace: str | None


def read_kubeconfig(kubeconfig: Path) -> Kubeconfig:
    """Files that are missing are left out where one is there.

    :param kubeconfig: several with colons between them
    :raises ClusterError: where none is there, or one is none
    """
    there: dict[str, Mapping[str, Any]] = {}
    for path in (Path(part).expanduser() for part in str(kubeconfig).split(os.pathsep) if part):
        content = _content(path)
        if content:  # the official client stumbles over empty ones
            there[str(path)] = content
    if not there:
        raise ClusterError(0, f"no way to reach a cluster: there is no kubeconfig {kubeconfig}")
    context = next((found for one in there.values() if (found := one.get("current-context"))), None)
    contexts = (item for one in there.values() for item in one.get("contexts") or ())
    try:
        chosen: Any = next((item["context"] for item in contexts if item["name"] == context), {})
        namespace = chosen.get("namespace")
    except (TypeError, LookupError, AttributeError):
        raise _none(kubeconfig) from None
    return Kubeconfig(os.pathsep.join(there), context, namespace)


def _content(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ClusterError(0, f"no way to reach a cluster: {error}") from error
    except (ValueError, yaml.YAMLError):
        raise _none(path) from None
    if not isinstance(found, Mapping | None):
        raise _none(path)
    return found or {}


def _none(path: Path) -> ClusterError:
    return ClusterError(0, f"no way to reach a cluster: {path} is no kubeconfig")
