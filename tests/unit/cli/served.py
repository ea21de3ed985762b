"""A web server for commands to ask, in a thread: a command has a loop of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def serve(answers: Mapping[str, bytes | int]) -> Iterator[tuple[str, list[tuple[str, Mapping[str, str]]]]]:
    """A web server with a body or a status by path; its address, and what it was asked with which headers."""
    asked: list[tuple[str, Mapping[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, dict(self.headers)))
            answer = answers.get(self.path.partition("?")[0], 404)
            body = b'{"kind": "Status", "message": "not to you"}' if isinstance(answer, int) else answer
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json" if body[:1] in b"{[" else "application/octet-stream")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *arguments: object) -> None:
            """Nothing: tests look at what is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
