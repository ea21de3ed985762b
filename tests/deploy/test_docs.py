"""What the documentation says, against the code that it says it of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import REGISTRY
from pydantic import BaseModel

from pullsizer.admission import metrics as admission_metrics
from pullsizer.cluster import metrics as cluster_metrics
from pullsizer.controller import credentials, events
from pullsizer.controller import metrics as controller_metrics
from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY
from pullsizer.overrides import KEYS, parse_overrides
from pullsizer.policy import Amounts, Limits, Policy, load_policy
from pullsizer.sources import failures

from . import sizing_page
from .render import BASE, ROOT, documents, kustomize

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
EXAMPLES = ROOT / "deploy" / "examples"
NONE = "\N{EN DASH}"


def rows(page: Path, columns: int) -> Iterator[list[str]]:
    """The rows of all tables of so many columns, without heads and rules, without backticks."""
    for line in page.read_text().splitlines():
        if line.startswith("|") and not set(line) <= set("|- "):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) == columns:
                yield cells


def code(cell: str) -> str:
    return cell.strip("`")


# -- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", file.read_text(), flags=re.MULTILINE)
            assert anchor in [re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_every_page_is_found_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for page in DOCS.glob("*.md"):
        assert f"(docs/{page.name})" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_that_pages_name_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    known = {name for line in targets for name in line.split()}
    assert set(re.findall(r"(?:^|`|&& )make ([a-z]+(?:-[a-z]+)*)", page.read_text(), flags=re.MULTILINE)) <= known


# -- the policy -------------------------------------------------------------------------------------------------------


def policy_keys(model: type[BaseModel] = Policy, path: str = "") -> Iterator[str]:
    """Every key, dotted, down to blocks of resources."""
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        inner = next((item for item in _types(field.annotation) if isinstance(item, type)), None)
        if inner is not None and issubclass(inner, BaseModel) and inner not in (Amounts, Limits):
            repeated = "[]" if "tuple" in str(field.annotation) else ""
            yield from policy_keys(inner, f"{key}{repeated}.")
        else:
            yield key


def _types(annotation: Any) -> Iterator[Any]:
    found = [inner for argument in get_args(annotation) for inner in _types(argument)]
    return iter([item for item in found if isinstance(item, type) and issubclass(item, BaseModel)] or [annotation])


def test_the_policy_s_reference_has_every_key_and_no_other() -> None:
    listed = [code(key) for key, _, _ in rows(DOCS / "policy.md", 3)][1:]
    assert sorted(listed) == sorted(policy_keys())


def test_the_policy_s_reference_has_the_defaults() -> None:
    written: dict[str, Any] = {}
    for key, default, _ in list(rows(DOCS / "policy.md", 3))[1:]:
        if default == NONE or "[]" in key or ".token." in key:
            continue
        *folders, name = code(key).split(".")
        block = written
        for folder in folders:
            block = block.setdefault(folder, {})
        block[name] = yaml.safe_load(code(default))
    assert load_policy(yaml.safe_dump(written)) == Policy()
    assert "`HF_TOKEN`" in (DOCS / "policy.md").read_text()


@pytest.mark.parametrize("page", [page for page in PAGES if "```yaml" in page.read_text()], ids=lambda page: page.name)
def test_policies_in_pages_are_accepted(page: Path) -> None:
    for text in re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL):
        if "apiVersion:" not in text:
            load_policy(text)


def test_the_shipped_policy_explains_every_key() -> None:
    text = (BASE / "config.yaml").read_text()
    # A setting: `#` and anything but one space and a word.
    shown = re.sub(r"^#(?=\S|  )", "", text, flags=re.MULTILINE)
    policy = load_policy(shown)
    assert policy.tiers
    assert policy.sources.hugging_face.token
    for key in policy_keys():
        assert re.search(rf"\b{re.escape(key.split('.')[-1])}:", shown), key


# -- annotations ------------------------------------------------------------------------------------------------------


def test_the_annotations_page_has_every_annotation_with_a_good_example() -> None:
    listed = {code(key): code(example) for key, example, _ in list(rows(DOCS / "annotations.md", 3))[1:]}
    assert listed.keys() == KEYS
    for key, value in listed.items():
        assert not parse_overrides({key: value})[1], key


# -- sizing -----------------------------------------------------------------------------------------------------------


def test_the_tables_of_the_sizing_page_are_what_the_code_says() -> None:
    text = sizing_page.PAGE.read_text()
    assert sizing_page.rendered(text) == text


def test_the_readme_s_example_is_one_of_them() -> None:
    readme = (ROOT / "README.md").read_text()
    (model,) = (model for model in sizing_page.MODELS if model["uri"] in readme)
    decision = sizing_page.sized(model["uri"], sizing_page.facts_of(model))
    memory, cpu, disk = sizing_page.amounts(decision, MEMORY, CPU, EPHEMERAL_STORAGE).split(" | ")
    assert f"Its pull should get memory {memory}, cpu {cpu}, ephemeral-storage {disk}." in readme


# -- troubleshooting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason", [*get_args(events.Reason), *get_args(failures.Reason), *get_args(credentials.Reason)]
)
def test_troubleshooting_has_every_reason(reason: str) -> None:
    assert f"`{reason}`" in (DOCS / "troubleshooting.md").read_text()


def test_troubleshooting_has_every_metric() -> None:
    assert admission_metrics, controller_metrics  # imported for what they register
    assert cluster_metrics
    text = (DOCS / "troubleshooting.md").read_text()
    ours = {metric.name for metric in REGISTRY.collect() if metric.name.startswith("pullsizer_")}
    assert {name for name in ours if f"`{name}" not in text} == set()


# -- examples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_examples_are_what_we_would_accept(file: Path) -> None:
    for item in documents(file.read_text()):
        if item["kind"] == "ConfigMap":
            load_policy(item["data"]["config.yaml"])
        overrides, problems = parse_overrides(item["metadata"].get("annotations"))
        assert not problems
        assert overrides or item["kind"] != "InferenceService" or file.name.startswith("runtime-")


def test_the_example_of_an_overlay_sets_image_policy_and_priority() -> None:
    items = documents(kustomize(EXAMPLES / "overlay"))
    pods = [item["spec"]["template"]["spec"] for item in items if item["kind"] == "Deployment"]
    images = {container["image"] for pod in pods for container in pod["containers"]}
    assert images == {"registry.example.com/platform/pullsizer:0.1.0"}
    (policy,) = (item for item in items if item["kind"] == "ConfigMap")
    assert load_policy(policy["data"]["config.yaml"]).mode == "Recommend"
    assert [pod.get("priorityClassName") for pod in pods] == [None, "system-cluster-critical"]
