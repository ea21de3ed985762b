"""`pullsizer config check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pullsizer.cli.questionable import warnings
from pullsizer.policy import load_policy
from tests.unit.cli.command import Command
from tests.unit.cli.services import text

SHIPPED = Path(__file__).parents[3] / "deploy" / "base" / "config.yaml"


def test_what_is_installed_is_good_and_says_what_it_puts_in_force(run: Command) -> None:
    printed = run("config", "check", SHIPPED)
    assert printed.code == 0
    assert printed.out.startswith("ok: ")
    assert "\n  mode                Auto\n" in printed.out
    assert "\n  refreshAfter        24h\n" in printed.out
    assert not printed.err


def test_every_problem_is_a_sentence_and_the_exit_code_3(run: Command) -> None:
    printed = run(
        "config", "check", "-", stdin="mode: off\nwaitFrSize: 1s\nrefreshAfter: soon\nbounds: {max: {memory: 8gigs}}"
    )
    assert printed.code == 3
    assert not printed.out
    lines = printed.err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("standard input: ") for line in lines)
    for words in (
        "mode: YAML reads",
        "did you mean 'waitForSize'?",
        "refreshAfter: 'soon'",
        "bounds.max.memory: '8gigs'",
    ):
        assert words in printed.err


def test_yaml_that_is_none_is_a_problem_too(run: Command) -> None:
    printed = run("config", "check", "-", stdin="mode: [")
    assert printed.code == 3
    assert "not valid YAML" in printed.err


def test_a_configmap_is_looked_into(run: Command) -> None:
    config = {"kind": "ConfigMap", "metadata": {"name": "pullsizer-config"}, "data": {"config.yaml": "mode: Recommend"}}
    printed = run("config", "check", "-", stdin=text(config))
    assert printed.code == 0
    assert "mode                Recommend" in printed.out
    assert "warning: mode: Recommend decides and changes no pod" in printed.err
    empty = run("config", "check", "-", stdin=text({**config, "data": {"policy": "mode: Auto"}}))
    assert (empty.code, "has no key config.yaml" in empty.err) == (2, True)


def test_programs_get_all_of_it_at_once(run: Command) -> None:
    good = run("config", "check", "-", "-o", "json", stdin="mode: Disabled").data
    assert (good["ok"], good["problems"], good["inForce"]["mode"]) == (True, [], "Disabled")
    assert good["warnings"]
    bad = run("config", "check", "-", "-o", "json", stdin="mod: Auto")
    assert bad.code == 3
    assert (bad.data["ok"], bad.data["inForce"], len(bad.data["problems"])) == (False, None, 1)


def test_the_policy_in_force_has_all_that_is_in_it(run: Command) -> None:
    policy = """
mode: Auto
modelPullResources: {requests: {cpu: 300m, memory: 2Gi}, limits: {cpu: "3", memory: 6Gi}}
tiers: [{upTo: 5G, limits: {memory: 2Gi}}, {limits: {memory: 9Gi}}]
bounds: {min: {memory: 64Mi}, max: {memory: 32Gi}}
namespaces: {include: ["team-*"], exclude: [team-x]}
services: {matchLabels: {tier: gold}}
sources: {allowCIDRs: [10.0.0.0/8], huggingFace: {token: {secretName: t, namespaces: [a, b]}}}
"""
    out = run("config", "check", "-", stdin=policy).out
    for words in (
        "cpu 300m…3   memory 2Gi…6Gi", "up to 5.0 GB: memory 2Gi", "any size: memory 9Gi", "memory 64Mi", "memory 32Gi",
        "team-*, without team-x", "tier=gold", "also networks 10.0.0.0/8", "a Hub token in a, b",
    ):  # fmt: skip
        assert words in out


@pytest.mark.parametrize(
    ("policy", "about"),
    [
        ("mode: Disabled", "mode"),
        ("mode: Recommend", "mode"),
        ("namespaces: {include: []}", "namespaces.include"),
        ("namespaces: {include: [a], exclude: [a]}", "namespaces.exclude"),
        ("namespaces: {exclude: ['*']}", "namespaces.exclude"),
        ("modelPullResources: {limits: {memory: 4Gi}, requests: {cpu: 1}}", "modelPullResources.limits.memory"),
        ("modelPullResources: {limits: {memory: 9Mi}, requests: {memory: 9Mi}}", "modelPullResources.limits.memory"),
        ("bounds: {max: {memory: 2Gi}}", "bounds.max.memory"),
        ("bounds: {max: {memory: 512Mi}}", "bounds.max.memory"),
        ("bounds: {max: {cpu: 50m}}", "bounds.max.cpu"),
        ("bounds: {min: {memory: 10Gi}}", "bounds.min.memory"),
        ("tiers: [{upTo: 1G, limits: {memory: 4Gi}}, {limits: {memory: 2Gi}}]", "tiers[1].limits.memory"),
        ("waitForSize: 0s", "waitForSize"),
        ("refreshAfter: 2m", "refreshAfter"),
        ("refreshAfter: 1000h", "refreshAfter"),
        ("linkSpeed: 10M", "linkSpeed"),
        ("sources: {timeout: 5m}", "sources.timeout"),
        ("sources: {allowCIDRs: [0.0.0.0/0]}", "sources.allowCIDRs"),
        ("sources: {allowCIDRs: [127.0.0.1/32]}", "sources.allowCIDRs"),
        ("sources: {allowCIDRs: ['::/0']}", "sources.allowCIDRs"),
        ("sources: {huggingFace: {endpoint: 'http://hub', token: {secretName: t, namespaces: [a]}}}",
         "sources.huggingFace.endpoint"),
        ("sources: {huggingFace: {token: {secretName: t, namespaces: []}}}", "sources.huggingFace.token.namespaces"),
        ("sources: {huggingFace: {token: {secretName: t, namespaces: ['team-*']}}}",
         "sources.huggingFace.token.namespaces"),
        ("sources: {huggingFace: {requestsPer5Minutes: 3000}}", "sources.huggingFace.requestsPer5Minutes"),
        ("sources: {credentials: {namespaces: ['*']}}", "sources.credentials.namespaces"),
    ],
)  # fmt: skip
def test_what_looks_like_a_mistake_is_told(policy: str, about: str) -> None:
    found = warnings(load_policy(policy))
    assert found
    assert all(warning.startswith(f"{about}: ") for warning in found)


def test_defaults_are_no_mistake() -> None:
    assert warnings(load_policy("")) == []
