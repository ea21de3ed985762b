"""Servers as processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.runtime.bench.processes import Crowd, Died, free_ports, post

SERVE = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_a_server_answers_while_it_is_awake_and_is_ended_with_its_children_even_asleep() -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/"
    with Crowd() as crowd:
        command = [sys.executable, "-c", SERVE, str(port)]
        started = crowd.start("server", port, command, {}, lambda: post(url) == b"ok")
        pids = started.pids
        assert len(pids) == 2
        assert started.megabytes > 1
        assert started.resident > started.megabytes / 2
        assert started.cpu > 0

        started.sleep()
        assert post(url, timeout=0.2) is None
        started.wake()
        assert post(url) == b"ok"
        started.sleep()

    assert post(url) is None
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in pids)


def test_a_server_that_dies_at_its_start_is_told_with_the_end_of_its_log() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]
    with Crowd() as crowd, pytest.raises(Died, match="no such model"):
        crowd.start("server", 1, command, {}, lambda: False)
