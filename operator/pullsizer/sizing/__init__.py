"""The decision: what a pull container gets, and why. Pure functions of plain values; no I/O, no clock."""

from pullsizer.sizing.decide import decide
from pullsizer.sizing.inputs import Decision, Inputs

__all__ = ["Decision", "Inputs", "decide"]
