"""The Open Inference Protocol (KServe V2) over gRPC."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message

from classifier_runtime.core.room import Room
from classifier_runtime.core.serving import Serving
from classifier_runtime.errors import InvalidRequest, Overloaded, RequestError, UnknownModel
from classifier_runtime.logs import where
from classifier_runtime.protocols import inference_pb2 as pb
from classifier_runtime.protocols import v2, v2_metadata
from classifier_runtime.protocols.errors import short
from classifier_runtime.protocols.grpc_messages import request_of, response_of
from classifier_runtime.protocols.v2_infer import infer

log = logging.getLogger(__name__)

SERVICE: Final = "inference.GRPCInferenceService"
INFER: Final = f"{SERVICE}/ModelInfer"
_PROTOCOL: Final = "grpc"
_GONE: Final = 499
"""In metrics: the client went, or its deadline passed."""

Q = TypeVar("Q", bound=Message)
Context = grpc.aio.ServicerContext[Any, Any]
Observe = Callable[[str, int, float], None]

_CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    # RESOURCE_EXHAUSTED would tell the client to try again.
    413: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


@dataclass(frozen=True, slots=True)
class Listening:
    """A server of gRPC."""

    server: grpc.aio.Server
    port: int

    async def stop(self, seconds: float) -> None:
        """Take no more, and wait for the answers of what was taken.

        :param seconds: after which those that have none yet get an error
        """
        await self.server.stop(seconds)


async def start(
    serving: Serving,
    address: str,
    *,
    most_bytes: int,
    observe: Observe = lambda _, __, ___: None,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
) -> Listening:
    """:param address: `host:port`; port 0 for any free one
    :param most_bytes: of a request, unpacked; answers have no limit
    :param observe: told of each inference: `grpc`, the status as HTTP has it, seconds
    :raises RuntimeError: the port is taken
    """
    server = grpc.aio.server(
        interceptors=interceptors,
        options=[
            ("grpc.max_receive_message_length", most_bytes),
            ("grpc.max_send_message_length", -1),
            # Two servers of one port would each get some of the requests.
            ("grpc.so_reuseport", 0),
        ],
    )
    server.add_generic_rpc_handlers((_handlers(serving, observe),))
    port = server.add_insecure_port(address)
    await server.start()
    return Listening(server, port)


def _handlers(serving: Serving, observe: Observe) -> grpc.GenericRpcHandler:
    def named(name: str, version: str = "") -> None:
        if name != serving.name:
            raise UnknownModel(f"Model with name {name} does not exist.")
        v2_metadata.check_version(version, name)

    async def server_live(_: pb.ServerLiveRequest) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=serving.broken is None)

    async def server_ready(_: pb.ServerReadyRequest) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=serving.ready)

    async def model_ready(request: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
        named(request.name, request.version)
        return pb.ModelReadyResponse(ready=serving.ready)

    async def server_metadata(_: pb.ServerMetadataRequest) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(**v2_metadata.server())

    async def model_metadata(request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        named(request.name, request.version)
        return pb.ModelMetadataResponse(**v2_metadata.model(serving))

    async def model_infer(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        named(request.model_name, request.model_version)
        answer = await infer(serving, request_of(request, serving.limits.elements), serving.options)
        return response_of(answer, serving.name, request.model_version)

    async def load(request: pb.RepositoryModelLoadRequest) -> pb.RepositoryModelLoadResponse:
        named(request.triton_model_name or request.kserve_model_name)
        if not serving.ready:
            raise serving.not_ready()
        return pb.RepositoryModelLoadResponse(model_name=serving.name, is_loaded=True)

    async def unload(request: pb.RepositoryModelUnloadRequest) -> pb.RepositoryModelUnloadResponse:
        named(request.triton_model_name or request.kserve_model_name)
        raise v2.not_unloaded(serving)

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "ServerLive": _method(server_live, pb.ServerLiveRequest),
            "ServerReady": _method(server_ready, pb.ServerReadyRequest),
            "ModelReady": _method(model_ready, pb.ModelReadyRequest),
            "ServerMetadata": _method(server_metadata, pb.ServerMetadataRequest),
            "ModelMetadata": _method(model_metadata, pb.ModelMetadataRequest),
            "ModelInfer": _method(model_infer, pb.ModelInferRequest, observe, serving.room),
            "RepositoryModelLoad": _method(load, pb.RepositoryModelLoadRequest),
            "RepositoryModelUnload": _method(unload, pb.RepositoryModelUnloadRequest),
        },
    )


def _method(
    answer: Callable[[Q], Awaitable[Any]],
    request: type[Q],
    observe: Observe = lambda _, __, ___: None,
    room: Room | None = None,
) -> grpc.RpcMethodHandler[Any, Any]:
    parse = cast("Callable[[bytes], Q]", request.FromString)

    async def call(data: bytes, context: Context) -> Any:
        began = time.perf_counter()
        status = _GONE
        try:
            with nullcontext() if room is None else room.of(len(data)):
                response = await answer(_parsed(parse, data))
            status = 200
        except RequestError as error:
            status = error.status
            after = (("retry-after", str(error.retry_after)),) if isinstance(error, Overloaded) else ()
            await context.abort(_CODES.get(status, grpc.StatusCode.INTERNAL), short(str(error)), after)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is: a client gets an answer, and the log where it was
            status = 500
            log.error("a request failed", extra={"method": request.__name__, "traceback": where(error)})  # noqa: TRY400
            await context.abort(grpc.StatusCode.INTERNAL, "an error of the server's own; its log says more")
        finally:
            observe(_PROTOCOL, status, time.perf_counter() - began)
        return response

    return grpc.unary_unary_rpc_method_handler(call, response_serializer=lambda message: message.SerializeToString())


def _parsed(parse: Callable[[bytes], Q], data: bytes) -> Q:
    # Not left to gRPC, for which a message that is none is an error of the server's.
    try:
        return parse(data)
    except DecodeError:
        raise InvalidRequest("the request is no message of the Open Inference Protocol") from None
