"""Everything that can go wrong and has a name.

    PullsizerError
    ├── InvalidValue            a value a person wrote is wrong; the message says which, where and what to write instead
    │   ├── InvalidQuantity
    │   ├── InvalidPolicy       carries every problem of the text, not only the first
    │   └── InvalidReview       what came is no AdmissionReview that we serve
    ├── MeasureError            a model could not be measured; carries the coarse reason users see
    │   └── EgressDenied        the address is one the operator must not call
    └── ClusterError            the API server refused or did not answer
        └── NotFound

A class for each decision that a caller can take, and no more.
"""

from __future__ import annotations


class PullsizerError(Exception):
    """Base of all errors of ours."""


class InvalidValue(PullsizerError, ValueError):
    """A value that a person wrote is wrong. A ValueError too: that is how pydantic's validators report one."""


class InvalidQuantity(InvalidValue):
    """Not a quantity as Kubernetes writes them."""


class InvalidPolicy(InvalidValue):
    """The policy's text cannot be accepted.

    :param problems: one sentence each, naming key, value and remedy
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class InvalidReview(InvalidValue):
    """The body is no AdmissionReview that we serve."""


class MeasureError(PullsizerError):
    """A model could not be measured.

    :param reason: a word in CamelCase, for conditions and metrics; never holds anything that a remote server said
    :param message: a sentence for people; no remote body, header or resolved address
    :param retry_after: seconds until it is worth another try
    """

    def __init__(self, reason: str, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class EgressDenied(MeasureError):
    """The address is not one that the operator may call on a user's word."""

    def __init__(self, message: str) -> None:
        # An hour: only the administrator's allowCIDRs change the answer, and a changed policy asks anew anyway.
        super().__init__("AddressNotAllowed", message, 3600)


class ClusterError(PullsizerError):
    """The API server refused, or did not answer.

    :param status: the HTTP status, 0 where there was no answer
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ClusterError):
    """There is no such object."""
