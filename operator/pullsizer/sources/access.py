"""What a downloader is told beside the URI: credentials, and how to reach the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pullsizer.modelpull import ANONYMOUS


@dataclass(frozen=True)
class Access:
    """As KServe would put it into the container's environment, by the same names: `HF_TOKEN`, `AWS_ACCESS_KEY_ID`, ….

    Two of KServe's variables name a file; here they hold what is in it: `GOOGLE_APPLICATION_CREDENTIALS` (JSON) and
    `AWS_CA_BUNDLE` (PEM).

    :param scope: of whatever is learnt with it: `anonymous`, or the namespace and the very version of the Secret
    """

    scope: str = ANONYMOUS
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def get(self, name: str) -> str:
        """A variable's value without the white space around it, as Secrets made from files have; empty if not set."""
        return self.environment.get(name, "").strip()


STRANGER: Final = Access()
"""With nothing: as anybody on the Internet asks."""
