"""What is counted. Names and labels are API: dashboards, alerts and autoscalers are built on them."""

from __future__ import annotations

import resource
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, Info, generate_latest

from classifier_runtime.core.engine import Batch, Engine
from classifier_runtime.core.job import Instance, Result, Tagged
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.serving import Serving
from classifier_runtime.counting import Counts, Spread
from classifier_runtime.protocols.http import Request, Response, Route

MOST_LABELS: Final = 100
"""Class ids that are counted one by one; of models with more, the rest is `other`."""

# From a short text on a GPU to the deadline.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TOKENS: Final = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536)

REQUESTS: Final = Counts(
    "classifier_requests", "Requests to classify, by protocol and status; 499: the client went", ("protocol", "code")
)
SECONDS: Final = Spread(
    "classifier_request_seconds", "From a request's being read to its answer", _SECONDS, label="protocol"
)
TOKENIZE: Final = Spread("classifier_tokenize_seconds", "To encode a request's texts or images", _SECONDS)
QUEUE: Final = Spread("classifier_queue_seconds", "From encoded to its first batch", _SECONDS)
FORWARD: Final = Spread("classifier_forward_seconds", "To compute the batches a request was in", _SECONDS)
DECODE: Final = Spread("classifier_decode_seconds", "From logits to answers", _SECONDS)
INSTANCES: Final = Counts("classifier_instances", "Texts and images that were classified")
TRUNCATED: Final = Counts("classifier_truncated", "Texts that were cut to what the model takes")
PREDICTIONS: Final = Counts("classifier_predictions", "Answers by the best class's id, or `other`", ("id",))
BATCH_TOKENS: Final = Histogram("classifier_batch_tokens", "Tokens of a batch, without padding", buckets=_TOKENS)
BATCH_ITEMS: Final = Histogram("classifier_batch_items", "Items of a batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256))
BATCH_COST: Final = Counter("classifier_batch_cost_tokens_total", "Tokens that were computed, padding and all")
BATCH_SECONDS: Final = Counter("classifier_batch_seconds_total", "That the engine computed: its rate is the share busy")
LABELS: Final = Gauge("classifier_label_info", "1 for each class: what an id is called", ["id", "label"])
MODEL: Final = Info("classifier_model", "What is served, and how")
READY: Final = Gauge("classifier_ready", "Whether requests are taken")
LOAD_SECONDS: Final = Gauge("classifier_model_load_seconds", "From the process's start of loading to ready")
WAITING: Final = Gauge("classifier_queue_tokens", "Tokens of encoded items that wait for their turn")
IN_FLIGHT: Final = Gauge("classifier_in_flight_requests", "Requests that have no answer yet")
PEAK_MEMORY: Final = Gauge("classifier_peak_memory_bytes", "The most memory that this process has had")
# In KiB on Linux.
PEAK_MEMORY.set_function(lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def serving(labels: Labels, asked: Serving, engine: Engine) -> None:
    """From now on, of this model."""
    LABELS.clear()
    PREDICTIONS.clear()
    for number, label in enumerate(labels.names[:MOST_LABELS]):
        LABELS.labels(str(number), label).set(1)
    WAITING.set_function(lambda: engine.waiting_tokens)
    IN_FLIGHT.set_function(lambda: asked.in_flight)


def batch(done: Batch) -> None:
    """Called in the engine's thread."""
    BATCH_TOKENS.observe(done.tokens)
    BATCH_ITEMS.observe(done.items)
    BATCH_COST.inc(done.cost)
    BATCH_SECONDS.inc(done.seconds)


def result(instances: Sequence[Instance], done: Result) -> None:
    """Of one request."""
    times = done.timings
    TOKENIZE.observe(times.tokenize)
    QUEUE.observe(times.queue)
    FORWARD.observe(times.forward)
    DECODE.observe(times.decode)
    INSTANCES.add(len(done.outcomes))
    if done.truncated:
        TRUNCATED.add(done.truncated)
    for number, count in Tally(_ids(instances, done)).items():
        PREDICTIONS.add(count, (str(number) if number < MOST_LABELS else "other",))


def _ids(instances: Sequence[Instance], done: Result) -> Iterator[int]:
    for instance, outcome in zip(instances, done.outcomes, strict=True):
        if isinstance(outcome, Tagged):
            yield from outcome.ids[~outcome.special].tolist()
        elif not instance.options.candidate_labels:  # whose numbers are the request's own
            yield outcome.id


def request(protocol: str, code: int, seconds: float) -> None:
    REQUESTS.add(1, (protocol, str(code)))
    SECONDS.observe(seconds, protocol)


def routes() -> Iterator[Route]:
    async def page(_: Request) -> Response:
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    yield Route("GET", "/metrics", page)
