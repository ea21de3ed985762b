"""What can go wrong here.

ControlPlaneError           says what, where and what to do about it
└── NoToolchainError        there is no Go and none can be had: tests are skipped by name, on CI they fail
"""

from __future__ import annotations


class ControlPlaneError(Exception):
    """The control plane, or a command to it, failed; the message is meant to be read by a person."""


class NoToolchainError(ControlPlaneError):
    """Apart from the others since it says something about the machine, not about the code under test."""
