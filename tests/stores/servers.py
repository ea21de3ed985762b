"""What all stores have in common: a folder, processes that end with the tests, a CA, and objects laid down as files."""

from __future__ import annotations

import http.client
import secrets
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeAlias

from tests.controlplane import ports
from tests.controlplane.pki import LOCAL, Pki
from tests.controlplane.ports import HOST
from tests.controlplane.processes import Processes

Content: TypeAlias = bytes | int
"""Of an object: its bytes, or how many zeros it is made of."""

# Of one request to a server on this machine: by far longer than any takes.
TIMEOUT: Final = 30.0


@dataclass(frozen=True)
class Address:
    """Where one server is, by http and by https."""

    plain: int
    secure: int
    certificate: Path
    key: Path

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.plain}"

    @property
    def tls_endpoint(self) -> str:
        return f"https://{HOST}:{self.secure}"


class Servers:
    """The processes of all stores of one run, in one folder. A context manager; nothing outlives it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pullsizer-stores-")).resolve()
        self.processes = Processes(self.folder)
        self.pki = Pki(self.folder / "pki")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.close()

    def address(self, name: str, *names: str) -> Address:
        """Free ports, and a certificate for the loopback and these public names of the store."""
        return Address(ports.free_port(), ports.free_port(), *self.pki.server(name, hosts=(*LOCAL, *names)))

    def data(self, name: str) -> Path:
        """A new folder for the data of a server."""
        folder = self.folder / name
        folder.mkdir()
        return folder

    def start(self, name: str, argv: Sequence[str], *urls: str, **environment: str) -> None:
        """Starts a server and waits until it answers at all of these."""
        context = ssl.create_default_context(cafile=str(self.pki.ca))

        def ready() -> bool:
            return all(_answers(url, context) for url in urls)

        self.processes.wait_ready(self.processes.start(name, argv, environment, ready))


def _answers(url: str, context: ssl.SSLContext) -> bool:
    """Whether anything at all is answered, a refusal included."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT, context=context):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except (OSError, http.client.HTTPException):
        return False


def fresh(prefix: str) -> str:
    """A name that no bucket has had before."""
    return f"{prefix}-{secrets.token_hex(6)}"


def lay(path: Path, content: Content) -> None:
    """A file of this content; of zeros that take no space, where only their number is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            file.truncate(content)


def stand_in(content: Content) -> bytes:
    """What is hashed: for zeros their number, as to hash terabytes would take hours."""
    return content if isinstance(content, bytes) else f"{content} zeros".encode()
