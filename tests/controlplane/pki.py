"""Certificates of one control plane: a CA, and whatever it issues."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOCAL: Final = ("127.0.0.1", "localhost")


class Pki:
    """One CA in a folder; a folder that has one already keeps it (it is kept with etcd's data, see snapshot.py)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.crt"
        self.service_account_key = folder / "sa.key"
        """Signs service-account tokens: RSA, as in most clusters."""
        ca_key = folder / "ca.key"
        if not self.ca.exists():
            folder.mkdir(parents=True, exist_ok=True)
            key = ec.generate_private_key(ec.SECP256R1())
            _write_key(self.service_account_key, rsa.generate_private_key(public_exponent=65537, key_size=2048))
            _write_key(ca_key, key)
            self.ca.write_bytes(_self_signed(key).public_bytes(serialization.Encoding.PEM))
        self._certificate = x509.load_pem_x509_certificate(self.ca.read_bytes())
        loaded = serialization.load_pem_private_key(ca_key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded

    @property
    def ca_bundle(self) -> str:
        """The CA as Kubernetes wants it in a `caBundle`."""
        return base64.b64encode(self.ca.read_bytes()).decode()

    def client(self, name: str, *, user: str, group: str) -> tuple[Path, Path]:
        """A client certificate, which is who one is for the API server."""
        subject = [
            x509.NameAttribute(NameOID.COMMON_NAME, user),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
        ]
        return self._issue(self.folder / name, subject, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def server(self, name: str, *, hosts: Iterable[str] = LOCAL, folder: Path | None = None) -> tuple[Path, Path]:
        """A server certificate for these addresses and names, as `name.crt` and `name.key`."""
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        alternatives = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
        return self._issue((folder or self.folder) / name, subject, ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def _issue(
        self,
        target: Path,
        subject: list[x509.NameAttribute[str]],
        usage: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None,
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(x509.Name(subject), self._certificate.subject, key.public_key(), days=365)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        crt, pem = target.with_name(f"{target.name}.crt"), target.with_name(f"{target.name}.key")
        crt.parent.mkdir(parents=True, exist_ok=True)
        crt.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        _write_key(pem, key)
        return crt, pem


def _alternative(host: str) -> x509.GeneralName:
    # An address has to be there as an address: as a DNS name, Go's clients do not accept it.
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "controlplane-ca")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(name, name, key.public_key(), days=3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, *, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
