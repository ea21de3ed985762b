"""The decision: what a pull container gets, and why. Pure functions of plain values; no I/O, no clock."""

from pullsizer.sizing.decide import Decision, Inputs, decide

__all__ = ["Decision", "Inputs", "decide"]
