"""The page at /ui in a real browser, headless: what a person does there, and sees."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classifier_runtime.core.labels import Labels
from classifier_runtime.core.serving import Facts
from tests.runtime.server.conftest import Start
from tests.runtime.server.doubles import IMAGES, REGRESSION, TOKENS

HERE = Path(__file__).parent.parent / "browser"
MARKUP = "<img src=x onerror=alert(1)>"
UNKIND = Facts("text-classification", Labels((MARKUP, "POSITIVE", "שלום"), "named"))
ENTAILS = Facts("text-classification", Labels(("contradiction", "neutral", "entailment"), "named"))

Visit = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def visit() -> Visit:
    """A Chromium, installed once and kept in the temporary folder."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return _without("there is no node here, which drives the browser")
    package = (HERE / "package.json").read_bytes()
    folder = Path(tempfile.gettempdir()) / f"pullsizer-browser-{hashlib.sha256(package).hexdigest()[:12]}"
    if not (folder / "node_modules").is_dir():
        making = Path(tempfile.mkdtemp(prefix="pullsizer-browser-"))
        shutil.copy(HERE / "package.json", making)
        done = subprocess.run([npm, "install", "--no-audit", "--no-fund"], cwd=making, capture_output=True, check=False)
        if done.returncode:
            return _without("the browser cannot be installed: " + done.stderr.decode(errors="replace")[-300:])
        shutil.rmtree(folder, ignore_errors=True)
        making.rename(folder)
    shutil.copy(HERE / "try.mjs", folder)

    def run(visits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        done = subprocess.run(
            [node, "try.mjs", json.dumps(visits)], cwd=folder, capture_output=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    return run


def _without(reason: str) -> Visit:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


async def test_a_person_sees_labels_bars_entities_and_errors(start: Start, visit: Visit, tmp_path: Path) -> None:
    """One visit for each, in one browser: its start takes longer than all of them."""
    many = Facts("text-classification", Labels(tuple(f"class {n}" for n in range(30)), "named"))
    asked = [UNKIND, ENTAILS, TOKENS, IMAGES, many, REGRESSION]
    texts, entailing, tokens, images, classes, numbers = [
        f"{(await start(facts, enable_ui=True)).url}/ui" for facts in asked
    ]
    image, broken = tmp_path / "image.png", tmp_path / "broken.png"
    image.write_bytes(b"0 0 3")
    broken.write_bytes(b"fail")
    visits: list[dict[str, Any]] = [
        {"url": texts, "text": "1 2 -1", "keys": True, "dark": True},
        {"url": f"{entailing}/", "text": "0 1", "candidates": "sports, politics"},
        {"url": tokens, "text": "0 1 0 2"},
        {"url": images, "file": str(image)},
        {"url": images, "file": str(broken)},
        {"url": images},
        {"url": classes, "text": "1"},
        {"url": numbers, "text": "73.5"},
    ]
    text, candidates, entities, picture, wrong, nothing, many_bars, number = await asyncio.to_thread(visit, visits)
    assert text["answer"][:2] == ["POSITIVE", "0.7054"]
    assert MARKUP in text["answer"]
    assert text["bars"] == pytest.approx([0.7054, 0.2595, 0.0351], abs=1e-4)
    assert text["model"] == "model"
    assert text["about"] == "text classification, 3 classes"
    assert text["colour"] == "rgb(255, 255, 255)"
    assert candidates["colour"] == "rgb(0, 0, 0)"
    assert candidates["answer"][0] == "politics"
    assert entities["marks"] == ["1", "2"]
    assert picture["answer"][0] == "NEUTRAL"
    assert "the model failed" in wrong["error"]
    assert nothing["error"] == "Choose an image first."
    assert (len(many_bars["bars"]), many_bars["more"]) == (30, ["20 more"])
    assert (number["bars"], number["answer"][-1]) == ([], "73.5000")
    assert [one["fields"] for one in (text, candidates, entities, picture)] == [
        ["text"],
        ["text", "candidates"],
        ["text"],
        ["file"],
    ]
    assert [one["focused"] for one in (text, picture)] == ["text", "file"]
    seen = (text, candidates, entities, picture, nothing, many_bars, number)
    assert [one["complaints"] for one in seen] == [[]] * len(seen)
    assert {url.split("/")[2] for url in text["asked"]} == {texts.split("/")[2]}
    command = f"{candidates['curl']} --silent"
    answered = await asyncio.to_thread(subprocess.run, command, shell=True, capture_output=True, check=True, timeout=20)
    answer = json.loads(answered.stdout)
    assert [one["label"] for one in answer] == ["politics", "sports"]
