"""The page at /ui: only where it is asked for, and shut tight."""

from __future__ import annotations

import base64
import hashlib
import re

from tests.runtime.server.conftest import Client, Start


async def test_there_is_no_page_unless_it_is_asked_for(client: Client) -> None:
    assert (await client.ask("/ui"))[0] == 404


async def test_its_policy_allows_its_own_script_and_style_and_nothing_else(start: Start) -> None:
    client = await start(enable_ui=True)
    async with client.session.get(client.url + "/ui") as answer:
        policy, page = answer.headers["Content-Security-Policy"], await answer.text()
        assert answer.content_type == "text/html"
    for tag in ("script", "style"):
        [text] = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"""(src|href)=["'](?!data:)""", page), "it loads nothing more"


async def test_it_shows_labels_as_text_only(start: Start) -> None:
    client = await start(enable_ui=True)
    async with client.session.get(client.url + "/ui") as answer:
        page = await answer.text()
    assert "innerHTML" not in page
    assert "insertAdjacentHTML" not in page
