"""Is there a GPU, and can this torch use it? If not: which driver, which wheel, what to do."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

# Of the memory that is free once the model is there: what the allocator cannot use, as it is in pieces.
MARGIN: Final = 0.1


def driver() -> tuple[int, int] | None:
    """Number of GPUs, and the newest CUDA that the driver can, as 12040 for 12.4; None without a driver.

    Asked of the driver itself: importing torch takes seconds, and where there is no GPU nobody needs it.
    """
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    count, version = ctypes.c_int(), ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    if library.cuInit(0) != 0 or library.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0, version.value
    return count.value, version.value


def present() -> bool:
    found = driver()
    return found is not None and found[0] > 0


def problem() -> str | None:
    """Why torch cannot use a GPU, and the remedy; None where it can, which is tried."""
    found = driver()
    if found is None:
        return "no NVIDIA driver here; give the pod a GPU (resources.limits: nvidia.com/gpu), or use --device cpu"
    count, version = found
    if count == 0:
        return (
            "the NVIDIA driver shows no GPU; give the pod one (resources.limits: nvidia.com/gpu), or use --device cpu"
        )
    try:
        import torch  # noqa: PLC0415 - only where there is a GPU
    except ImportError:
        return "torch is not installed; use the image with torch, or --device cpu"
    return _mismatch(version, torch) or _trial(torch)


def _mismatch(version: int, torch: Any) -> str | None:
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA; install a build for CUDA {_text(version)} or older"
    wanted = int(torch.version.cuda.split(".")[0])
    if version // 1000 < wanted:
        return (
            f"the NVIDIA driver can CUDA {_text(version)} and torch {torch.__version__} needs {wanted}; "
            f"update the node's driver, or install a torch built for CUDA {version // 1000}"
        )
    return None


def _trial(torch: Any) -> str | None:
    try:
        major, minor = torch.cuda.get_device_capability(0)
        (torch.ones(1, device="cuda:0") + 1).item()
    except RuntimeError as error:
        reason = str(error).split("\n", 1)[0]
        return f"torch {torch.__version__} (CUDA {torch.version.cuda}) cannot use the GPU: {reason}"
    built = [name for name in torch.cuda.get_arch_list() if name.startswith("sm_")]
    if built and not any(int(name[3:-1]) <= major for name in built if name[3:].isdecimal()):
        return (
            f"the GPU is sm_{major}{minor} and torch {torch.__version__} is built for {', '.join(built)}; "
            "install a torch built for this GPU"
        )
    return None


def _text(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


@contextmanager
def margin(device: str) -> Iterator[None]:
    """What fits within this has `MARGIN` more outside of it."""
    import torch  # noqa: PLC0415 - only where there is a GPU

    free, total = torch.cuda.mem_get_info(device)
    taken = torch.cuda.memory_reserved(device)
    torch.cuda.set_per_process_memory_fraction((taken + free * (1 - MARGIN)) / total, device)
    try:
        yield
    finally:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.0, device)
