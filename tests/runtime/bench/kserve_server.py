"""KServe's own Hugging Face server, which is on no package index: from the module that the tests' control plane has.

Its model code is untouched. It is for vLLM's images, and without vLLM two things keep it from starting: types of
requests that it imports, and a name that its own fallback forgot.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from tests.controlplane import toolchain, versions
from tests.controlplane.programs import module_folder
from tests.runtime.bench import environments

_SERVER: Final = "python/huggingfaceserver/huggingfaceserver"
# Types of requests that are never made here: any name is a model without fields.
_TYPES: Final = """from pydantic import BaseModel
_made = {}
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _made.setdefault(name, type(name, (BaseModel,), {"__module__": __name__}))
"""
# Without `vllm.engine`, by which the server finds out whether vLLM is there: it is to say no.
_STUBS: Final = {
    "entrypoints/openai/chat_completion/protocol.py": _TYPES,
    "entrypoints/openai/completion/protocol.py": _TYPES,
    "entrypoints/openai/engine/protocol.py": _TYPES,
    "entrypoints/pooling/embed/protocol.py": _TYPES,
    "entrypoints/pooling/scoring/protocol.py": _TYPES,
    "entrypoints/chat_utils.py": _TYPES,
    "entrypoints/serve/utils/api_utils.py": "def with_cancellation(handler):\n    return handler\n",
}


def install(environment: Path) -> None:
    """Into an environment that has `kserve`.

    :raises environments.Unavailable: another version than this was written for
    """
    lay(environments.site_packages(environment))


def lay(site: Path) -> None:
    """Into a folder of packages.

    :raises environments.Unavailable: another version than this was written for
    """
    source = module_folder(toolchain.find(), f"github.com/kserve/kserve@{versions.KSERVE}") / _SERVER
    target = site / "huggingfaceserver"
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)  # the module cache is read-only, the copy is not to be
    environments.replace(
        target / "vllm" / "utils.py", "    AsyncEngineArgs = Any\n", "    AsyncEngineArgs = EngineClient = Any\n"
    )
    for name, text in _STUBS.items():
        file = site / "vllm" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        for parent in file.relative_to(site).parents[:-1]:
            (site / parent / "__init__.py").touch()
