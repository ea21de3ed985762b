"""deploy/components/credentials: rights to read by name, in the namespaces that an administrator binds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.render import ROOT, documents, kustomize

COMPONENT = ROOT / "deploy" / "components" / "credentials"


@pytest.fixture
def overlay(tmp_path: Path) -> list[dict[str, Any]]:
    """What the README's overlay for two namespaces renders to."""

    def write(folder: Path, block: dict[str, Any]) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(block))

    deploy = os.path.relpath((ROOT / "deploy").resolve(), tmp_path.resolve())
    for name in ("models", "research"):
        write(tmp_path / name, {"namespace": name, "resources": [f"../{deploy}/components/credentials/namespace"]})
    base = {"resources": [f"{deploy}/base", "models", "research"], "components": [f"{deploy}/components/credentials"]}
    write(tmp_path, base)
    return documents(kustomize(tmp_path))


def mine(overlay: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return sorted(
        (item["kind"], item["metadata"].get("namespace"))
        for item in overlay
        if item["metadata"]["name"] == "pullsizer-credentials"
    )


def test_nothing_is_bound_but_in_the_namespaces_that_were_chosen(overlay: list[dict[str, Any]]) -> None:
    assert mine(overlay) == [("ClusterRole", None), ("RoleBinding", "models"), ("RoleBinding", "research")]


def test_the_controller_and_nobody_else_is_bound(overlay: list[dict[str, Any]]) -> None:
    controller = [{"kind": "ServiceAccount", "name": "pullsizer-controller", "namespace": "pullsizer-system"}]
    for item in overlay:
        if item["kind"] == "RoleBinding" and item["metadata"]["name"] == "pullsizer-credentials":
            assert item["subjects"] == controller


def test_what_is_there_can_be_read_by_name_and_neither_listed_nor_changed() -> None:
    (role,) = documents((COMPONENT / "role.yaml").read_text())
    rights = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert rights == {("secrets", "get"), ("serviceaccounts", "get"), ("configmaps", "get")}
    assert all(rule["apiGroups"] == [""] for rule in role["rules"])


def test_without_the_component_nobody_is_given_any_of_it() -> None:
    assert mine(documents(kustomize(ROOT / "deploy" / "base"))) == []
