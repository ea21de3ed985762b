"""What computes logits. A backend sees arrays only: no text, no label, no request.

What is set here is set before anything here imports torch, OpenVINO or NNCF.
"""

import os
import sys

# OpenVINO and NNCF report what they convert to their makers' statistics, unasked, and wait seconds for an answer where
# there is no way out. Both do without where the package that reports is not installed, and so it is for us.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # what Python calls a module not to be had

# torch's OpenMP threads wait for each other by spinning, on the cores that the event loop and the tokenizers need.
# OpenMP itself takes 1,000 turns in place of 300,000 where it has more threads than cores; of ours it knows nothing.
# MiniLM by 2 threads on 2 busy cores: 0.6-1.1 s for what took 2.0-4.0, and a third of the CPU time.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
