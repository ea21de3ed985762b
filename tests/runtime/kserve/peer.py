"""KServe's own Hugging Face server, from the Go module that this project pins: its Python is in there, too.

It runs in the runtime's environment, with the same torch and transformers as ours. What is missing there is laid beside
it: what the bench lays for it, `accelerate`, and KServe's own packages of the same version.
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
from tests.runtime.bench import kserve_server
from tests.runtime.kserve.cases import NAME, Server

ACCELERATE: Final = "accelerate==1.15.0"
_PACKAGES: Final = ("kserve/kserve", "storage/kserve_storage")
_START_SECONDS: Final = 120


def lay(site: Path) -> None:
    """KServe's packages into a folder, to be put before the environment's own."""
    site.mkdir()
    kserve_server.lay(site)
    sources = programs.module_folder(toolchain.find(), f"github.com/kserve/kserve@{versions.KSERVE}") / "python"
    for package in _PACKAGES:
        # copyfile: the module cache is read-only, the copy is not to be.
        shutil.copytree(sources / package, site / Path(package).name, copy_function=shutil.copyfile)
    for folder in (path for path in site.rglob("*") if path.is_dir()):
        folder.chmod(0o755)
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
    # The last one is KServe's own, without which it takes no --max_model_len for a model without a limit.
    more = {"PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "ALLOW_LONG_MAX_MODEL_LEN": "1"}
    url = f"http://127.0.0.1:{ports[0]}"
    with (
        log.open("w") as output,
        subprocess.Popen(
            argv, cwd=site, env={**os.environ, **more}, stdout=output, stderr=subprocess.STDOUT
        ) as process,
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
