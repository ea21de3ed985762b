"""The versions of everything that is built, with the hash of each module that is not pinned by a go.sum of ours.

Kubernetes is v1.34.4 and not later since some of its staging modules of v0.34.5 are not published. It is the line of
Kubernetes that KServe v0.20.0 is tested with.
"""

from __future__ import annotations

import re
from typing import Final

KUBERNETES: Final = "v1.34.4"
ETCD: Final = "v3.6.16"
KSERVE: Final = "v0.20.0"
KWOK: Final = "v0.8.0"
HELM: Final = "v4.3.1"
VERSITYGW: Final = "v1.8.0"
FAKE_GCS_SERVER: Final = "v1.56.1"
DISTRIBUTION: Final = "v3.1.2"

MODULE_SUMS: Final = {
    f"github.com/kserve/kserve@{KSERVE}": "h1:Bs7HxmGV4KFqqptDcWseKv+mwD4YOYHJWcuVgPG2Gug=",
    f"sigs.k8s.io/kwok@{KWOK}": "h1:OTIOTwgROqPMovcTwxICx2eYQ4AwLpSx5EpjbDKF4SQ=",
    f"helm.sh/helm/v4@{HELM}": "h1:UndCoLe9UPmNoL7IvWzaUXveL7T5t/ijoorEmgJdI9g=",
}

MINIMUM_GO: Final = (1, 26, 0)
"""The highest `go` line of the modules above (etcd, kwok, helm, the stores)."""

MINIMUM_KUBERNETES: Final = (1, 30)
"""Of binaries given by KUBEBUILDER_ASSETS: older servers lack the CEL functions that KServe's CRDs and ours use."""


def parse(version: str) -> tuple[int, ...]:
    """`v1.34.4`, `go1.26.8`, `Kubernetes v1.31.0-rc.1` as numbers that compare; empty when there are none."""
    found = re.search(r"\d+(\.\d+){0,2}", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
