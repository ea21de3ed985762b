"""How fast the engine's own work is with nothing around it: the backend, and the batches that it would be given.

`python -m tests.runtime.bench.inprocess MODEL BACKEND PORT TEXTS.json` loads the model as the server does, and then
answers `GET /?waiting=64&seconds=3`: so many texts wait at all times, and as soon as some are computed others take
their place. No tokenizer, no protocol, no other thread.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from classifier_runtime import loading
from classifier_runtime.core.batching import Turns
from classifier_runtime.core.job import Instance, Item
from classifier_runtime.core.options import DEFAULT
from classifier_runtime.server import Loaded
from classifier_runtime.settings import Settings


class Work:
    """All texts, tokenised, over and over."""

    def __init__(self, loaded: Loaded, texts: Sequence[str]) -> None:
        self._backend, self._budget = loaded.backend, loaded.batch_tokens
        items = loaded.task.encode([Instance(DEFAULT, text=text) for text in texts]).items
        self._items: Iterator[Item] = itertools.cycle(items)

    def rate(self, waiting: int, seconds: float) -> float:
        """Texts a second."""
        turns: Turns[Item] = Turns()
        self._add(turns, waiting)
        begin, computed, now = time.perf_counter(), 0, 0.0
        while now < seconds:
            batch = turns.take(self._budget, self._backend.cost)
            self._backend.forward([one.request for one in batch])
            computed += len(batch)
            self._add(turns, len(batch))
            now = time.perf_counter() - begin
        return computed / now

    def _add(self, turns: Turns[Item], count: int) -> None:
        for item in itertools.islice(self._items, count):
            turns.add(item, [item.tokens])


def main(model: str, backend: str, port: int, texts: Sequence[str]) -> None:
    settings = Settings.model_validate({"model_dir": Path(model), "backend": backend})
    work = Work(loading.load(settings), texts)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            body = b"{}"
            if "waiting" in asked:
                found = work.rate(int(asked["waiting"][0]), float(asked["seconds"][0]))
                body = json.dumps({"texts_s": found}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(Path(sys.argv[4]).read_text()))
