"""A page at /ui where a person writes a text or drops an image, and sees labels and bars.

One file with its style and script in it, so that it works at whatever path a gateway has it. The policy allows these
two by their hashes and nothing else, and the page can ask nobody but the server it came from.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from classifier_runtime.protocols.http import Request, Response, Route

_HTML: Final = "text/html; charset=utf-8"


def routes() -> Iterator[Route]:
    folder = files(__name__)
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    page = folder.joinpath("page.html").read_text(encoding="utf-8")
    html = page.replace("{style}", style).replace("{script}", script).encode()
    headers = {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'; "
            "img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }

    async def show(_: Request) -> Response:
        return Response(html, content_type=_HTML, headers=headers)

    yield Route("GET", "/ui", show)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
