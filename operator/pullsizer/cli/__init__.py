"""The command line."""

from pullsizer.cli.app import main

__all__ = ["main"]
