"""Every peer, with what it takes to run it here.

A new one is one more `Server` in `PEERS`. Versions are pinned where others fail; what is not pinned is as it was on the
day in `environments.NEWEST`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.controlplane import versions
from tests.runtime.bench import kserve_server
from tests.runtime.bench.environments import Environment, Unavailable, replace, site_packages, uninstall
from tests.runtime.bench.server import (
    NAME,
    Place,
    Server,
    best_labels,
    infinity,
    inputs,
    label_tensor,
    labels,
    labels_in_json,
    predictions,
    v1,
    v2,
)

APPS: Final = Path(__file__).with_name("servers")


def _infinity_command(place: Place, model: Path, *more: str) -> Sequence[str]:
    python, program = str(place.programs / "python"), str(place.programs / "infinity_emb")
    where = ("--host", "127.0.0.1", "--port", str(place.ports[0]))
    return [
        *(python, program, "v2", "--model-id", str(model), "--served-model-name", NAME, "--device", "cpu"),
        *("--batch-size", "32", "--no-model-warmup", *more, *where),
    ]


def _onnx(place: Place) -> Path:
    """The model as ONNX, optimised as Infinity does it at its first start; made once."""
    folder = place.subject.folder / "onnx"
    if not folder.exists():
        part = folder.with_suffix(".part")
        export = ("-m", "optimum.exporters.onnx", "--task", "text-classification", "--model", str(place.subject.plain))
        optimise = (
            "import sys; from optimum.onnxruntime import ORTModelForSequenceClassification as M;"
            "from infinity_emb.transformer.utils_optimum import optimize_model as o;"
            "o(sys.argv[1], M, 'CPUExecutionProvider', 'model.onnx', optimize_model=True)"
        )
        for arguments in ((*export, str(part)), ("-c", optimise, str(part))):
            done = subprocess.run(
                [str(place.programs / "python"), *arguments], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise Unavailable(f"the model cannot be exported to ONNX: {done.stderr.strip()[-300:]}")
        part.rename(folder)
    return folder


def _patch_infinity(folder: Path) -> None:
    """It gives optimum a local model's absolute path where that wants a name in the model's folder."""
    file = site_packages(folder) / "infinity_emb" / "transformer" / "utils_optimum.py"
    replace(
        file,
        "onnx_files = [p for p in repo_files if p.match(pattern)]",
        "onnx_files = [Path(p.name) for p in repo_files if p.match(pattern)]",
    )


def _without_tensorflow(folder: Path) -> None:
    """It aborts beside this Triton (both bring LLVM), and is imported for nothing but its own models."""
    uninstall(folder, "tensorflow", "tf-keras")
    (site_packages(folder) / "tensorflow").mkdir(exist_ok=True)
    (site_packages(folder) / "tensorflow" / "__init__.py").touch()


def _mlserver(place: Place) -> Sequence[str]:
    model = str(place.subject.plain)
    settings = {
        "host": "127.0.0.1",
        "http_port": place.ports[0],
        "grpc_port": place.ports[1],
        "metrics_endpoint": None,
        "parallel_workers": 1,
    }
    extra = {
        "task": "text-classification",
        "pretrained_model": model,
        "pretrained_tokenizer": model,
        "device": -1,
        "framework": "pt",
    }
    about = {
        "name": NAME,
        "implementation": "mlserver_huggingface.HuggingFaceRuntime",
        "max_batch_size": 32,
        "max_batch_time": 0.005,
        "parameters": {"extra": extra},
    }
    (place.scratch / "settings.json").write_text(json.dumps(settings))
    (place.scratch / "model-settings.json").write_text(json.dumps(about))
    return [str(place.programs / "python"), str(place.programs / "mlserver"), "start", str(place.scratch)]


def _libpython() -> Mapping[str, str]:
    """Triton's Python stub loads any libpython that it finds, and works with this interpreter's own alone."""
    folder = Path(str(sysconfig.get_config_var("LIBDIR")))
    name = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so"
    if not (folder / name).exists():
        raise Unavailable(f"Triton needs a Python built with --enable-shared: there is no {name} in {folder}")
    return {"LD_LIBRARY_PATH": str(folder)}


def _app(name: str, ports: int = 1) -> Callable[[Place], Sequence[str]]:
    def command(place: Place) -> Sequence[str]:
        numbers = map(str, place.ports[:ports])
        return [str(place.programs / "python"), str(APPS / f"{name}_app.py"), str(place.subject.plain), *numbers]

    return command


def _kserve(place: Place) -> Sequence[str]:
    return [
        *(str(place.programs / "python"), "-m", "huggingfaceserver", f"--model_dir={place.subject.plain}"),
        *(f"--model_name={NAME}", f"--http_port={place.ports[0]}", "--enable_grpc=false", "--backend=huggingface"),
        "--disable_log_requests",
    ]


# -- the servers -------------------------------------------------------------------------------------------------------

_TORCH: Final = ("torch==2.15.0", "transformers==5.23.0")
# The last with which optimum, which has not been kept up, exports and runs ONNX: torch 2.9 lacks what it patches.
_OPTIMUM: Final = ("torch==2.8.0", "datasets<4", "pyarrow<20", "pandas<2.3", "scipy<1.14", "scikit-learn<1.7")
_INFINITY: Final = "infinity-emb[torch,optimum,server,einops]==0.0.78"

PEERS: Final = (
    Server(
        "kserve",
        f"KServe huggingfaceserver {versions.KSERVE}, V1",
        Environment(
            "kserve",
            # `setuptools`: it imports pkg_resources.
            ("kserve==0.20.0", "kserve-storage==0.20.0", *_TORCH, "accelerate>=1.6,<2", "setuptools<81"),
            kserve_server.install,
        ),
        _kserve,
        f"/v1/models/{NAME}:predict",
        "/v2/health/live",
        v1,
        predictions,
    ),
    Server(
        "infinity-onnx",
        "Infinity 0.0.78, ONNX Runtime",
        # transformers: for Infinity's check of BetterTransformer.
        Environment(
            "infinity-onnx",
            (_INFINITY, *_OPTIMUM, "optimum[onnxruntime]==1.27.0", "transformers==4.48.3", "onnxruntime==1.32.0"),
            _patch_infinity,
        ),
        lambda place: _infinity_command(place, _onnx(place), "--engine", "optimum"),
        "/classify",
        "/health",
        infinity,
        best_labels,
    ),
    Server(
        "infinity-torch",
        "Infinity 0.0.78, torch",
        Environment("infinity-torch", (_INFINITY,)),
        lambda place: _infinity_command(
            place, place.subject.plain, "--engine", "torch", "--dtype", "float32", "--no-bettertransformer"
        ),
        "/classify",
        "/health",
        infinity,
        best_labels,
    ),
    Server(
        "mlserver",
        "MLServer 1.7.1, V2",
        Environment(
            "mlserver",
            (
                *("mlserver==1.7.1", "mlserver-huggingface==1.7.1", *_OPTIMUM, "numpy<2"),
                "transformers==4.41.2",  # the last with Conversation, which it imports
                "uvloop==0.21.0",  # later ones give its workers no event loop
            ),
            _without_tensorflow,
        ),
        _mlserver,
        f"/v2/models/{NAME}/infer",
        "/v2/health/live",
        v2("array_inputs"),  # the one name that it does not spread over its pipeline's arguments
        labels_in_json,
    ),
    Server(
        "litserve",
        "LitServe 0.2.19, torch",
        Environment("litserve", ("litserve==0.2.19", *_TORCH)),
        _app("litserve"),
        "/predict",
        "/health",
        inputs,
        lambda answer: labels(answer["outputs"]),
    ),
    Server(
        "triton",
        "Triton 2.51 (nvidia-pytriton 0.7.0), torch, V2",
        Environment("triton", ("nvidia-pytriton==0.7.0", "torch==2.8.0", "transformers<4.57", "numpy==1.26.4")),
        _app("triton", 2),
        f"/v2/models/{NAME}/infer",
        "/v2/health/live",
        v2("text", 1),
        label_tensor,
        _libpython,
    ),
    Server(
        "pipeline",
        "transformers' pipeline behind aiohttp",
        Environment("pipeline", (*_TORCH, "aiohttp==3.14.5", "uvloop==0.23.0")),
        _app("pipeline"),
        "/",
        "/health",
        inputs,
        labels,
    ),
)
