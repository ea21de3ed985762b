"""Whose certificates are trusted."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""As the downloader's `requests` reads them, then as OpenSSL does. The first that is set is used."""


def make_context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """A context for clients. Parsing the system's bundle takes some 20 ms, so one is made and shared.

    :raises OSError: when a bundle was named that cannot be read; better at start than at each model
    """
    if (path := _named(environ)) is None:
        return ssl.create_default_context()
    folder = path.is_dir()
    return ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)


def read_bundle(environ: Mapping[str, str]) -> bytes:
    """The same bundle as PEM, for clients that read the system's by themselves; empty where none was named.

    :raises OSError: as above
    """
    if (path := _named(environ)) is None:
        return b""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    return b"\n".join(text for file in files if b"BEGIN CERTIFICATE" in (text := file.read_bytes()))


def _named(environ: Mapping[str, str]) -> Path | None:
    return next((Path(path) for name in _BUNDLES if (path := environ.get(name))), None)
