"""KServe's own Hugging Face server, from the Go module that this project pins: its Python is in there, too.

It runs in the runtime's environment. What is missing there is laid beside it: `accelerate`, and a `vllm` of names
alone, which KServe imports for its generating models and classifiers never use. One line of KServe's is mended: without
vLLM its `huggingfaceserver/vllm/utils.py` ends the start with a NameError.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from tests.controlplane import programs, toolchain, versions
from tests.runtime.kserve.cases import NAME, Server

ACCELERATE: Final = "accelerate==1.15.0"
_PACKAGES: Final = ("huggingfaceserver/huggingfaceserver", "kserve/kserve", "storage/kserve_storage")
_BROKEN: Final = "AsyncEngineArgs = Any\n"
_MENDED: Final = "AsyncEngineArgs = EngineClient = Any\n"
_ANY_NAME: Final = """\
from pydantic import BaseModel
_made = {}
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _made.setdefault(name, type(name, (BaseModel,), {"__module__": __name__}))
"""
_VLLM: Final = {
    "entrypoints/openai/chat_completion/protocol.py": _ANY_NAME,
    "entrypoints/openai/completion/protocol.py": _ANY_NAME,
    "entrypoints/openai/engine/protocol.py": _ANY_NAME,
    "entrypoints/pooling/embed/protocol.py": _ANY_NAME,
    "entrypoints/pooling/scoring/protocol.py": _ANY_NAME,
    "entrypoints/chat_utils.py": _ANY_NAME,
    "entrypoints/serve/utils/api_utils.py": "def with_cancellation(handler):\n    return handler\n",
}
_START_SECONDS: Final = 120


def lay(site: Path) -> None:
    """KServe's packages into a folder, to be put before the environment's own."""
    sources = programs.module_folder(toolchain.find(), f"github.com/kserve/kserve@{versions.KSERVE}") / "python"
    for package in _PACKAGES:
        # copyfile: the module cache is read-only, the copy is not to be.
        shutil.copytree(sources / package, site / Path(package).name, copy_function=shutil.copyfile)
    for folder in (path for path in site.rglob("*") if path.is_dir()):
        folder.chmod(0o755)
    utils = site / "huggingfaceserver" / "vllm" / "utils.py"
    text = utils.read_text(encoding="utf-8")
    assert text.count(_BROKEN) == 1, "KServe has mended it: take this out"
    utils.write_text(text.replace(_BROKEN, _MENDED), encoding="utf-8")
    for name, stub in _VLLM.items():
        file = site / "vllm" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(stub, encoding="utf-8")
        for parent in file.relative_to(site).parents[:-1]:
            (site / parent / "__init__.py").touch()
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    subprocess.run([*pip, "--target", str(site), ACCELERATE], check=True)


@contextmanager
def serving(server: Server, model: Path, site: Path, ports: tuple[int, int]) -> Iterator[str]:
    """Its URL, once it takes requests.

    :param ports: of HTTP and gRPC
    """
    log = site.with_suffix(".log")
    argv = [sys.executable, "-m", "huggingfaceserver", f"--model_dir={model}", f"--model_name={NAME}"]
    argv += ["--backend=huggingface", f"--http_port={ports[0]}", f"--grpc_port={ports[1]}", *server.flags]
    environment = {**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    url = f"http://127.0.0.1:{ports[0]}"
    with (
        log.open("w") as output,
        subprocess.Popen(argv, cwd=site, env=environment, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _wait(url, process, log)
            yield url
        finally:
            process.kill()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(10 * _START_SECONDS):
        try:
            with urlopen(f"{url}/v1/models/{NAME}", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.1)
        if process.poll() is not None:
            break
    raise RuntimeError(f"KServe's server does not start:\n{log.read_text()[-2000:]}")
