"""What the demo shows is what is there: commands as KServe wrote them, answers that are right."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.controlplane import ControlPlaneError
from tests.demo import local
from tests.demo.asking import Request, ask, expect
from tests.stubs.repository import Shape, shape_of, sizes

CONTAINER = {"args": ["--model_name=sentiment", "--model_dir=/mnt/models", "--enable_ui"]}


class Handler(BaseHTTPRequestHandler):
    """Answers with what it was sent; from /broken with 500."""

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_container_without_a_command_has_the_images_and_keeps_its_arguments_but_for_folder_and_address() -> None:
    assert local.command(CONTAINER, Path("/here"), 1, 2) == [
        *("python", "-m", "classifier_runtime"),
        *("--model_name=sentiment", "--enable_ui"),
        *("--model_dir=/here", "--host=127.0.0.1", "--http_port=1", "--grpc_port=2"),
    ]


def test_a_containers_own_command_wins_over_the_images() -> None:
    assert local.command(CONTAINER | {"command": ["serve"]}, Path("/here"), 1, 2)[:2] == [
        "serve",
        "--model_name=sentiment",
    ]


def test_a_runtime_without_its_environment_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(local.PYTHON, "/nowhere/python")

    with pytest.raises(ControlPlaneError, match="/nowhere/python is not there: `make setup-runtime`"):
        local.python()


def test_a_request_is_shown_as_curl_would_send_it_and_then_its_answer(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(Request(f"{url}/?top_k=1", b'{"said": "it\'s"}', {"Content-Type": "text/plain"})) == {"said": "it's"}
    assert capsys.readouterr().out == (
        f"$ curl '{url}/?top_k=1' -H 'Content-Type: text/plain' -d '{{\"said\": \"it'\"'\"'s\"}}'\n"
        '{"said": "it\'s"}\n\n'
    )


def test_an_error_and_a_server_that_is_gone_end_the_demo_with_what_they_say(url: str) -> None:
    with pytest.raises(ControlPlaneError, match="answers 500: of no use"):
        ask(Request(f"{url}/broken", b"of no use"))
    with pytest.raises(ControlPlaneError, match=r"does not answer: .*refused"):
        ask(Request("http://127.0.0.1:1/", b""))


def test_a_wrong_answer_ends_the_demo() -> None:
    expect("the texts", [1, 0], [1, 0])
    with pytest.raises(ControlPlaneError, match=r"says \[0, 0\] of the texts, and \[1, 0\] is right"):
        expect("the texts", [0, 0], [1, 0])


def test_the_stand_in_for_the_hub_has_a_model_of_this_machine_in_its_shape(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    for name, size in {"model.safetensors": 90_000, "tokenizer.json": 7_000, "examples/one.png": 100}.items():
        (tmp_path / name).write_bytes(bytes(size))

    shape = shape_of(tmp_path)

    assert shape == Shape(bytes=97_100, files=3, largest=90_000)
    assert sum(sizes(shape)) == 97_100
