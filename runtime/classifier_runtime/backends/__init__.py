"""What computes logits. A backend sees arrays only: no text, no label, no request.

OpenVINO and NNCF report what they convert to their makers' statistics, unasked, and wait seconds for an answer where
there is no way out. Both do without where the package that reports is not installed, and so it is for us: this is run
before anything here imports them.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # what Python calls a module not to be had
