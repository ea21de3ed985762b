"""The serving certificate, replaced in place: the next handshake has the new one, no connection is dropped."""

from __future__ import annotations

import base64
import binascii
import logging
import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509

from pullsizer.admission import metrics
from pullsizer.errors import InvalidValue

_log = logging.getLogger(__name__)


class Certificate:
    """A TLS context for the server, and the Secret's certificate in it as soon as there is one.

    Until then handshakes fail, and with them the readiness probe.
    """

    def __init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.loaded = False

    def put_secret(self, secret: Mapping[str, Any]) -> None:
        """Take the certificate of a `kubernetes.io/tls` Secret; one that cannot be used leaves the last in place."""
        try:
            data = secret.get("data") or {}
            chain, key = (base64.b64decode(data[name], validate=True) for name in ("tls.crt", "tls.key"))
            expiry = self.load(chain, key)
        except (KeyError, TypeError, binascii.Error, InvalidValue) as error:
            _log.warning("certificate not usable, the last one stays", extra={"error": type(error).__name__})
            return
        metrics.CERTIFICATE_EXPIRY.set(expiry)

    def load(self, chain: bytes, key: bytes) -> float:
        """Serve with a PEM chain and its key; gives the time of its end, in seconds since 1970.

        :raises InvalidValue: they are not PEM, or do not belong together
        """
        try:
            expiry = x509.load_pem_x509_certificates(chain)[0].not_valid_after_utc.timestamp()
        except ValueError:
            raise InvalidValue("tls.crt is not a PEM certificate") from None
        # `ssl` reads certificates from files only; this one is memory's, and gone before we return.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "tls.pem")
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(key + b"\n" + chain)
            try:
                # A pair that does not fit is refused before the live context has seen it.
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
                self.context.load_cert_chain(path)
            except (ssl.SSLError, ValueError):
                raise InvalidValue("tls.crt and tls.key do not belong together") from None
        self.loaded = True
        return expiry
