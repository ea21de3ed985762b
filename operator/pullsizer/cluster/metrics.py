"""What is known of our watches."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

WATCH_ERRORS: Final = Counter(
    "pullsizer_watch_errors_total", "Lists and watches that failed, and callbacks that raised.", ["watch", "kind"]
)
WATCH_AGE: Final = Gauge(
    "pullsizer_watch_age_seconds",
    "Seconds since the API server last said anything on the watch; bookmarks come about once a minute.",
    ["watch"],
)
WATCH_OBJECTS: Final = Gauge("pullsizer_watch_objects", "Objects known through the watch.", ["watch"])
