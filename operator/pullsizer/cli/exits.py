"""Exit codes of all commands, and the errors that lead to them."""

from __future__ import annotations

from typing import Final

from pullsizer.errors import PullsizerError

OK: Final = 0
FAILED: Final = 1
"""The operation failed: no cluster, no right to read, a file that cannot be written."""
USAGE: Final = 2
"""What was given cannot be used: flags, files that are not there or not what they should be."""
UNANSWERED: Final = 3
"""The command ran, and the answer is a bad one: a model that could not be measured, a pod that no resources fit, a
policy that would be refused."""


class BadInput(PullsizerError):
    """What a person gave a command cannot be used; the message names the file, the place and the remedy."""
