"""The token server to which a registry sends its clients: a GET with a password gives a token for what was asked.

As distribution's specification of the token protocol describes it; real ones are run beside the registry.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests.controlplane.ports import HOST

from .servers import Address

ISSUER: Final = "token-server-of-the-tests"
SERVICE: Final = "registry-of-the-tests"
# Of a token, in seconds; 60 is what the specification gives where nothing is said.
_VALID: Final = 60


@dataclass(frozen=True)
class Signer:
    """Signs tokens that a registry accepts which trusts the CA of this certificate."""

    certificate: str
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def load(cls, address: Address) -> Self:
        key = serialization.load_pem_private_key(address.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        der = x509.load_pem_x509_certificate(address.certificate.read_bytes()).public_bytes(serialization.Encoding.DER)
        return cls(base64.b64encode(der).decode(), key)

    def token(self, user: str, scopes: list[str]) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "jti": str(now),
            "access": [_access(s) for s in scopes],
        }
        claims |= {"nbf": now - 10, "iat": now, "exp": now + _VALID}
        header = {"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]}
        text = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
        r, s = utils.decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _access(scope: str) -> dict[str, Any]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class TokenServer:
    """By http and by https; a context manager."""

    def __init__(self, address: Address, user: str, password: str) -> None:
        self.address = address
        self._expected = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        self._user = user
        self._signer = Signer.load(address)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(address.certificate, address.key)
        self._servers = [self._server(address.plain), self._server(address.secure)]
        self._servers[1].socket = tls.wrap_socket(
            self._servers[1].socket, server_side=True, do_handshake_on_connect=False
        )

    def _server(self, port: int) -> ThreadingHTTPServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        return ThreadingHTTPServer((HOST, port), Handler)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") == self._expected:
            scopes = parse_qs(urlsplit(handler.path).query).get("scope", [])
            status, answer = 200, {"token": self._signer.token(self._user, scopes), "expires_in": _VALID}
        else:
            status, answer = 401, {"details": "incorrect username or password"}
        body = json.dumps(answer).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
