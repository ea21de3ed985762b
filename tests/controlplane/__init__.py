"""A real Kubernetes with the real KServe, as child processes: for tests, `make cluster` and `make demo`."""

from .errors import ControlPlaneError, NoToolchainError
from .plane import PARTS, ControlPlane

__all__ = ["PARTS", "ControlPlane", "ControlPlaneError", "NoToolchainError"]
