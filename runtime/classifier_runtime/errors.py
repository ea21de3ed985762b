"""Everything that can go wrong and has a name.

    ClassifierError
    ├── ModelRefused        at start: this model, or this way of serving it, is none that we can do right
    └── RequestError        a request gets an answer of its protocol's, with the status here
        ├── InvalidRequest      400  what was asked is wrong; the message says which key, what and the remedy
        ├── UnknownModel        404
        ├── Stalled             408  a body that does not come
        ├── TooLarge            413  more instances, text or bytes than one request may have
        ├── Overloaded          429  the queue is full; says when to come again
        ├── Unimplemented       501  the protocol has it, and we do not
        ├── NotReady            503  starting, or going
        ├── DeadlineExceeded    504  nobody waits for it any more
        └── ModelFailed         500  the model gave no usable answer
            ├── OutOfMemory     500  of the device: the engine tries again with less
            └── DeviceLost      500  the device fails until the process is started anew: liveness fails, too

A class for each decision that a caller can take, and no more.
"""

from __future__ import annotations

from typing import ClassVar


class ClassifierError(Exception):
    """Base of all errors of ours."""


class ModelRefused(ClassifierError):
    """The model cannot be served; the message says why, and what would help."""


class RequestError(ClassifierError):
    """A request cannot be answered as it was asked."""

    status: ClassVar[int] = 500


class InvalidRequest(RequestError):
    """What was asked is wrong."""

    status = 400


class UnknownModel(RequestError):
    """There is no such model here."""

    status = 404


class Stalled(RequestError):
    """What was announced does not come."""

    status = 408


class TooLarge(RequestError):
    """More than one request may have."""

    status = 413


class Overloaded(RequestError):
    """The queue is full.

    :param retry_after: seconds, whole ones, after which there should be room
    """

    status = 429

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unimplemented(RequestError):
    """The protocol has it, and we do not."""

    status = 501


class NotReady(RequestError):
    """The model is being loaded, or the server is about to end."""

    status = 503


class DeadlineExceeded(RequestError):
    """The answer would come too late."""

    status = 504


class ModelFailed(RequestError):
    """The model gave no usable answer: not a number, or an error of the device."""

    status = 500


class OutOfMemory(ModelFailed):
    """The device had not enough memory for a batch; a smaller one may work."""


class DeviceLost(ModelFailed):
    """The device is of no use until the process is started anew."""
