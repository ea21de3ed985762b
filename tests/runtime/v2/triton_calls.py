"""What Triton's gRPC client is made to do, in a process of its own: its stubs and KServe's define the same names, and
cannot be loaded beside each other.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np


def _tensor(data: list[str], shape: list[int] | None = None) -> list[Any]:
    import tritonclient.grpc as triton

    tensor = triton.InferInput("input-0", shape or [len(data)], "BYTES")
    tensor.set_data_from_numpy(np.array(data, np.object_).reshape(shape or [len(data)]))
    return [tensor]


def infer(
    url: str,
    data: list[str],
    outputs: list[tuple[str, int]] | None = None,
    shape: list[int] | None = None,
    **given: Any,
) -> dict[str, Any]:
    """Outputs by name, as lists.

    :param outputs: names, each with its class_count
    """
    import tritonclient.grpc as triton

    wanted = [triton.InferRequestedOutput(name, class_count=count) for name, count in outputs] if outputs else None
    with triton.InferenceServerClient(url) as client:
        found = client.infer("model", _tensor(data, shape), outputs=wanted, **given)
        response = found.get_response()
        return {"id": response.id, **{one.name: found.as_numpy(one.name).tolist() for one in response.outputs}}


def refused(url: str, data: list[str], model: str = "model", **given: Any) -> tuple[str, str]:
    """Status and sentence of an error."""
    import tritonclient.grpc as triton
    from tritonclient.utils import InferenceServerException

    with triton.InferenceServerClient(url) as client:
        try:
            client.infer(model, _tensor(data), **given)
        except InferenceServerException as error:
            return str(error.status()), str(error.message())
    raise AssertionError("there was an answer")


def about(url: str) -> dict[str, Any]:
    """All that is not inference."""
    import tritonclient.grpc as triton
    from tritonclient.utils import InferenceServerException

    with triton.InferenceServerClient(url) as client:
        client.load_model("model")
        try:
            client.unload_model("model")
            stays = ""
        except InferenceServerException as error:
            stays = str(error.status())
        metadata = client.get_model_metadata("model")
        return {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model": client.is_model_ready("model"),
            "version": client.is_model_ready("model", "1"),
            "extensions": list(client.get_server_metadata().extensions),
            "inputs": [(one.name, one.datatype, list(one.shape)) for one in metadata.inputs],
            "outputs": [one.name for one in metadata.outputs],
            "unload": stays,
            "unlisted": [_unlisted(call) for call in (client.get_model_repository_index, client.get_log_settings)],
        }


def _unlisted(call: Any) -> str:
    """The status of an extension that the server does not list."""
    from tritonclient.utils import InferenceServerException

    try:
        call()
    except InferenceServerException as error:
        return str(error.status())
    raise AssertionError("there was an answer")


def awaited(url: str, texts: list[str]) -> list[int]:
    """Many at once, by the client for asyncio."""
    import tritonclient.grpc.aio as triton

    async def ask() -> list[int]:
        async with triton.InferenceServerClient(url) as client:
            assert await client.is_server_ready()
            assert await client.is_model_ready("model", "1")
            found = await asyncio.gather(
                *[client.infer("model", _tensor([text]), client_timeout=30, request_id=text) for text in texts]
            )
            return [int(one.as_numpy("output-0")[0]) for one in found]

    return asyncio.run(ask())


def asynchronous(url: str, texts: list[str]) -> list[int]:
    """Many at once over one connection."""
    import queue

    import tritonclient.grpc as triton

    done: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(url) as client:
        for text in texts:
            client.async_infer("model", _tensor([text]), lambda result, error: done.put((result, error)))
        found = [done.get(timeout=30) for _ in texts]
    assert not [error for _, error in found if error]
    return sorted(int(result.as_numpy("output-0")[0]) for result, _ in found)
