"""An inference request on its way: asked, classified, answered; the same over REST and gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from classifier_runtime.core import size
from classifier_runtime.core.job import Result
from classifier_runtime.core.options import Options
from classifier_runtime.core.serving import Serving
from classifier_runtime.errors import DeadlineExceeded
from classifier_runtime.protocols.v2_ask import ask
from classifier_runtime.protocols.v2_outputs import outputs
from classifier_runtime.protocols.v2_types import Output, Scalar, V2Request


@dataclass(frozen=True, slots=True)
class V2Answer:
    """:param id: the request's own, or a new one
    :param result: for headers
    """

    id: str
    parameters: dict[str, Scalar]
    outputs: Sequence[Output]
    result: Result


async def infer(serving: Serving, request: V2Request, base: Options) -> V2Answer:
    """:param base: options where the request says nothing
    :raises RequestError: why there is no answer
    """
    facts = serving.facts
    asked = ask(request, base, facts, serving.name)
    try:
        async with asyncio.timeout(asked.seconds):
            result = await serving.classify(asked.instances)
    except TimeoutError:
        raise DeadlineExceeded(f"no answer within the request's timeout of {asked.seconds} s") from None
    found = await serving.rendered(
        size.numbers(asked.instances, result.outcomes, labelled=1),
        partial(
            outputs,
            result.outcomes,
            asked.options,
            asked.outputs,
            facts,
            binary=asked.binary,
            offsets=serving.offsets,
        ),
    )
    parameters: dict[str, Scalar] = {"truncated": result.truncated} if result.truncated else {}
    return V2Answer(request.id or str(uuid4()), parameters, found, result)
