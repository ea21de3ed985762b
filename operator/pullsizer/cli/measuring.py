"""Asking stores how big models are, for one command: progress on standard error, and whose credentials are used."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pullsizer.cli.console import stderr
from pullsizer.cli.exits import BadInput
from pullsizer.errors import MeasureError
from pullsizer.model import Failure, Knowledge, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER, Access

if TYPE_CHECKING:
    from rich.progress import Progress

_AT_ONCE: Final = 16
_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
_CREDENTIALS: Final = (
    # What KServe's downloader is given and the stores' clients read, store by store; but for variables that in a shell
    # mean something else (HEADERS, TLS_CERT).
    "HF_TOKEN",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
    "S3_VERIFY_SSL", "S3_USER_VIRTUAL_BUCKET", "awsAnonymousCredential",
    "AZ_CLIENT_ID", "AZ_CLIENT_SECRET", "AZ_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID",
    "AZURE_STORAGE_ACCESS_KEY",
    "MODELSCOPE_API_TOKEN", "GIT_USERNAME", "GIT_PASSWORD", "HDFS_NAMENODE", "HDFS_ROOTPATH",
)  # fmt: skip
_IN_FILES: Final = ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_CA_BUNDLE")
"""They name a file; `Access` holds what is in it."""


@dataclass(frozen=True)
class Asking:
    """What the person at the keyboard allows: it is their own machine that asks.

    :param with_credentials: those of the shell are shown to the stores they are for
    :param allow_private: any address may be asked, not only those that the policy allows
    :param timeout: seconds for one model; None: the policy's
    """

    with_credentials: bool = False
    allow_private: bool = False
    timeout: float | None = None

    def measure(self, sources: Iterable[Source], rules: SourceRules) -> dict[Source, Knowledge]:
        """What stores say of each source, within a policy's rules.

        :raises BadInput: where a variable names a file that cannot be read
        """
        changes: dict[str, object] = {}
        if self.allow_private:
            changes["allow_cidrs"] = _EVERYWHERE
        if self.timeout is not None:
            changes["timeout"] = self.timeout
        rules = rules.model_copy(update=changes) if changes else rules
        access = credentials(os.environ) if self.with_credentials else STRANGER
        return asyncio.run(_measure(list(dict.fromkeys(sources)), rules, access))


def credentials(environ: Mapping[str, str]) -> Access:
    """Those of the shell.

    :raises BadInput: where a variable names a file that cannot be read
    """
    found = {name: environ[name] for name in _CREDENTIALS if environ.get(name)}
    for name in _IN_FILES:
        if path := environ.get(name):
            try:
                found[name] = Path(path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                raise BadInput(f"${name} names a file that cannot be read") from None
    return Access("shell", found)


async def _measure(sources: list[Source], rules: SourceRules, access: Access) -> dict[Source, Knowledge]:
    from pullsizer.sources.measure import Measurer  # noqa: PLC0415 - huggingface_hub alone takes longer than most plans

    free = asyncio.Semaphore(_AT_ONCE)
    async with Measurer() as measurer:
        with _progress(len(sources)) as progress:

            async def one(source: Source) -> Knowledge:
                async with free:
                    task = progress.add_task(source.public_uri) if progress else None
                    try:
                        return await measurer.measure(source, access=access, rules=rules)
                    except MeasureError as error:
                        return Failure(error.reason, str(error), error.retry_after)
                    finally:
                        if progress and task is not None:
                            progress.remove_task(task)

            found = await asyncio.gather(*map(one, sources))
    return dict(zip(sources, found, strict=True))


def _progress(count: int) -> Progress | nullcontext[None]:
    """A line for each model that is asked about, with the time it takes so far; nothing where nobody watches."""
    console = stderr()
    if not count or not console.is_terminal:
        return nullcontext()
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("measuring {task.description}", markup=False), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)
