"""`pullsizer size`: how big, and what a pull of it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pullsizer.cli.exits import BadInput
from pullsizer.cli.measuring import credentials
from tests.unit.cli.command import Command
from tests.unit.cli.served import serve
from tests.unit.cli.services import inference_service, text


def test_what_was_measured_and_what_the_law_gives(run: Command) -> None:
    with serve({"/a.bin": b"x" * 5000}) as (url, _):
        printed = run("size", f"{url}/a.bin", "--allow-private")
        assert printed.code == 0
        assert printed.out.startswith(f"{url}/a.bin\n  size     5 kB in 1 file; 5000 bytes\n")
        assert "  gets     cpu " in printed.out
        assert "  because  5 kB" in printed.out
        (found,) = run("size", f"{url}/a.bin", "--allow-private", "-o", "json").data
    assert found["model"] == {"uri": f"{url}/a.bin", "bytes": 5000, "files": 1, "largest": 5000, "basis": "measured"}
    assert found["gets"].keys() == {"requests", "limits", "environment"}
    assert found["reasons"]


def test_what_it_prints_is_what_plan_reads(run: Command, tmp_path: Path) -> None:
    models = tmp_path / "models.json"
    with serve({"/a.bin": b"x" * 5000}) as (url, _):
        printed = run("size", f"{url}/a.bin", f"{url}/none.bin", "--allow-private", "-o", "json")
        assert printed.code == 3
        models.write_text(printed.out)
        services = [inference_service(f"{url}/{name}.bin", name=name) for name in ("a", "none")]
    pods = run("plan", "-f", "-", "--model", models, "-o", "json", stdin=text(*services)).data["pods"]
    sources = [pod["containers"][0]["sources"][0] for pod in pods]
    assert sources == [item["model"] for item in printed.data]


def test_one_that_fails_does_not_hide_the_others(run: Command) -> None:
    with serve({"/a.bin": b"x"}) as (url, _):
        printed = run("size", f"{url}/none.bin", f"{url}/a.bin", "ftp://host/x", "pvc://claim/x", "--allow-private")
    assert printed.code == 3
    for reason in ("NotFound", "UnknownScheme", "NothingToPull"):
        assert f"failed  {reason}: " in printed.out
    assert "in 1 file" in printed.out


def test_the_policy_says_who_may_be_asked_and_bounds_what_is_given(run: Command, tmp_path: Path) -> None:
    policy = tmp_path / "config.yaml"
    policy.write_text(
        "{mode: Disabled, namespaces: {include: []}, bounds: {min: {memory: 3Gi}}, sources: {allowCIDRs: [127.0.0.1]}}"
    )
    with serve({"/a.bin": b"x"}) as (url, _):
        assert run("size", f"{url}/a.bin").code == 3
        (found,) = run("size", f"{url}/a.bin", "--config", policy, "-o", "json").data
    assert found["gets"]["requests"]["memory"] == "3Gi"


def test_credentials_of_the_shell_are_used_only_if_asked_for(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve({"/api/models/team/model/tree/main": b'[{"type": "file", "path": "a", "oid": "1", "size": 7}]'}) as (
        url,
        asked,
    ):
        monkeypatch.setenv("HF_TOKEN", "hf_sesame")
        policy = f"sources: {{huggingFace: {{endpoint: '{url}'}}}}"
        run("size", "hf://team/model", "--config", "-", stdin=policy)
        assert asked
        assert not any("sesame" in str(headers) for _, headers in asked)
        asked.clear()
        run("size", "hf://team/model", "--config", "-", "--with-credentials", stdin=policy)
        assert any("sesame" in str(headers) for _, headers in asked)


def test_variables_that_name_files_stand_for_what_is_in_them(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}")
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(key), "AWS_ACCESS_KEY_ID": "id", "EDITOR": "vi", "HF_TOKEN": ""}
    assert credentials(environ).environment == {"GOOGLE_APPLICATION_CREDENTIALS": "{}", "AWS_ACCESS_KEY_ID": "id"}
    assert "id" not in repr(credentials(environ))
    with pytest.raises(BadInput, match="AWS_CA_BUNDLE"):
        credentials({"AWS_CA_BUNDLE": str(tmp_path / "none")})
