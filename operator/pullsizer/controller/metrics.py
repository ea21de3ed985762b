"""What the controller counts. Names and labels are API: dashboards and alerts are built on them."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

MEASUREMENTS: Final = Counter(
    "pullsizer_measurements_total",
    "Questions about the size of a model, by scheme and what came of it: Measured, Unchanged, or why it failed",
    ["scheme", "reason"],
)
MEASURE_SECONDS: Final = Histogram(
    "pullsizer_measure_seconds",
    "Time that a question took",
    ["scheme"],
    # A Hub answers in 0.3 s; a policy's `timeout` is 10 s unless changed.
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 20, 60),
)
MEASURE_WAITING: Final = Gauge(
    "pullsizer_measure_waiting",
    "Questions that wait for their turn, by lane: hub is the policy's, named-hub those that users name, other the rest",
    ["lane"],
)
HUB_REQUESTS_LEFT: Final = Gauge(
    "pullsizer_hub_requests_left",
    "Requests that the policy's Hub may be sent now, of requestsPer5Minutes; 0 also while it asked for a rest",
)
MODEL_PULLS: Final = Gauge("pullsizer_modelpulls", "ModelPulls that should be there")
SERVICES: Final = Gauge("pullsizer_services", "Services known", ["kind"])
POLICY_ACCEPTED: Final = Gauge(
    "pullsizer_policy_accepted", "1 if the policy in force is what pullsizer-config says; 0: it is refused or missing"
)
LEADER: Final = Gauge("pullsizer_leader", "1 while this process holds the Lease")
CERTIFICATE_EXPIRY: Final = Gauge(
    "pullsizer_certificate_expiry_timestamp_seconds", "When a certificate ends", ["certificate"]
)
CA_BUNDLE_WRITES: Final = Counter(
    "pullsizer_ca_bundle_writes_total", "Times that caBundle was put (back) into a webhook configuration", ["kind"]
)
EVENTS: Final = Counter("pullsizer_events_total", "Events on services: posted, repeated, dropped, failed", ["outcome"])
OUTCOMES: Final = Counter("pullsizer_pulls_total", "Pulls that ended, by how", ["outcome"])
WORK_ERRORS: Final = Counter("pullsizer_work_errors_total", "Pieces of work that failed and are tried again", ["queue"])
HANDLER_ERRORS: Final = Counter("pullsizer_handler_errors_total", "Objects that could not be taken in", ["kind"])
