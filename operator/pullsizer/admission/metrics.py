"""What the webhook counts. Names and labels are API: dashboards and alerts are built on them."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

# A review takes a third of a millisecond; the API server gives up after 5 s.
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

PODS: Final = Counter(
    "pullsizer_admission_pods_total",
    "Pods reviewed, by what came of it: sized, unchanged, recommended, disabled, not_selected, nothing_to_pull, "
    "left_alone (no valid answer), unsafe_patch, failed_open (an error of ours; the pod was created as it was)",
    ["outcome"],
)
SIZED_BY: Final = Counter(
    "pullsizer_admission_sized_total", "Pull containers sized, by basis of the decision", ["basis"]
)
BAD_REQUESTS: Final = Counter(
    "pullsizer_admission_bad_requests_total", "Bodies that were no AdmissionReview we serve", ["reason"]
)
INVALID_ANNOTATIONS: Final = Counter(
    "pullsizer_admission_invalid_annotations_total", "Annotations with wrong values, left out of a decision"
)
VALIDATIONS: Final = Counter(
    "pullsizer_admission_validations_total", "Objects validated, by kind and answer", ["kind", "answer"]
)
SECONDS: Final = Histogram(
    "pullsizer_admission_duration_seconds",
    "Time to answer, the wait for a size included",
    ["path"],
    buckets=_SECONDS,
)
WAIT_SECONDS: Final = Histogram(
    "pullsizer_admission_wait_seconds",
    "Time that first pods waited for the size of their model",
    ["answered"],
    buckets=_SECONDS,
)
WAITING: Final = Gauge("pullsizer_admission_waiting", "Pods that wait for a size now")
BREAKER_OPEN: Final = Gauge(
    "pullsizer_admission_wait_breaker_open", "Namespaces in which no pod waits now, since sizes did not come in time"
)
POLICY_ACCEPTED: Final = Gauge(
    "pullsizer_admission_policy_accepted", "1 if a policy was accepted; 0: built-in defaults"
)
CERTIFICATE_EXPIRY: Final = Gauge(
    "pullsizer_admission_certificate_expiry_timestamp_seconds",
    "When the serving certificate ends, in seconds since 1970",
)
READY: Final = Gauge("pullsizer_admission_ready", "1 when the certificate is loaded and every cache is filled")
