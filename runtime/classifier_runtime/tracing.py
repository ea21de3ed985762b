"""Whether requests are traced: where OpenTelemetry's own variables say where to, and nowhere else.

What imports OpenTelemetry is `spans`, which is not imported without need: of what is off nothing is paid.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from classifier_runtime.spans import Tracer

log = logging.getLogger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def wanted(environ: Mapping[str, str]) -> bool:
    """As OpenTelemetry's specification reads its variables, but that no endpoint means no traces."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "")
    if exporter:
        return exporter.strip() == "otlp"
    return any(environ.get(name) for name in _ENDPOINTS)


def start(environ: Mapping[str, str], model: str) -> Tracer | None:
    """None where no traces are wanted, and where there can be none: a warning says why.

    :param environ: which OpenTelemetry reads itself, too
    :param model: its name; a trace's service is called so unless `OTEL_SERVICE_NAME` says otherwise
    """
    if not wanted(environ):
        return None
    try:
        from classifier_runtime import spans  # noqa: PLC0415 - see above

        return spans.start(environ, model)
    except ImportError as error:
        log.warning(
            "no traces are sent: OpenTelemetry is configured and not installed (%s); "
            "pip install 'pullsizer[runtime-tracing]', or unset OTEL_EXPORTER_OTLP_ENDPOINT",
            error.name,
        )
    except Exception as error:  # noqa: BLE001 - whatever it makes of its variables: a model is served without, too
        log.warning("no traces are sent: OpenTelemetry does not take its OTEL_ variables: %s", error)
    return None
