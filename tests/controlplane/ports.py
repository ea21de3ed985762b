"""Ports on the loopback address."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
_DEFAULT_EPHEMERAL: Final = 32768
_given: set[int] = set()


def free_port() -> int:
    """A port nobody listens on, never given before by this process.

    It is below the range from which the kernel takes ports for outgoing connections. Thus none of these takes it
    between this call and the server's start, nor while a killed server is down and will come back on the same port.
    """
    first = _first_ephemeral()
    for port in random.sample(range(first // 2, first), 500):
        if port not in _given and not listens(port):
            with socket.socket() as probe:
                try:
                    probe.bind((HOST, port))
                except OSError:
                    continue
            _given.add(port)
            return port
    raise OSError(f"no free port between {first // 2} and {first} on {HOST}")


def listens(port: int) -> bool:
    """Whether somebody takes connections on this port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((HOST, port)) == 0


def _first_ephemeral() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return _DEFAULT_EPHEMERAL
    # Some machines open the whole range to outgoing connections; there is no quiet half then.
    return first if first > 4096 else _DEFAULT_EPHEMERAL
