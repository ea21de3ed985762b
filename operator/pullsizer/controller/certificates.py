"""The CA and the leaf of the webhook: made, judged and renewed. Pure but for keys and the clock that is passed in.

A CA lives a year and a leaf 90 days, as with Kyverno and cert-manager; each is renewed when a third of its life is
left, so that a controller may be away for a month. A new CA is published beside the old one, in the bundle, before a
leaf is signed with it: at no moment does an API server see a leaf whose CA it does not trust.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE: Final = timedelta(days=365)
LEAF_LIFE: Final = timedelta(days=90)
_SKEW: Final = timedelta(hours=1)
"""Before now, from which on they are valid: clocks of nodes differ."""


@dataclass(frozen=True)
class Pair:
    """A certificate with its private key, as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def make_ca(now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # Each with a name of its own: of two CAs with the same name a verifier may try the wrong one only.
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"pullsizer-ca-{serial:x}"[:40])])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=serial)
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def make_leaf(ca: Pair, hosts: Sequence[str], now: datetime) -> Pair:
    """For a server under the names or addresses of `hosts`; never beyond the CA's own end."""
    signer, signer_key = _load(ca)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        # A common name has 64 characters at most, and means nothing: the names are in the extension.
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pullsizer-webhook")]))
        .issuer_name(signer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(min(now + LEAF_LIFE, signer.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()),
            critical=False,
        )
        .sign(signer_key, hashes.SHA256())
    )
    return _pair(certificate, key)


def usable(pair: Pair | None) -> bool:
    """Whether it can be read, and the key is the certificate's."""
    if pair is None:
        return False
    try:
        certificate, key = _load(pair)
    except (ValueError, TypeError):
        return False
    return certificate.public_key() == key.public_key()


def aging(pair: Pair, now: datetime) -> bool:
    """Whether only a third of its life is left, or less, or it is not valid yet."""
    certificate, _ = _load(pair)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now < begin or end - now <= (end - begin) / 3


def ended(pair: Pair, now: datetime) -> bool:
    return _load(pair)[0].not_valid_after_utc <= now


def signed_by(leaf: Pair, ca: bytes) -> bool:
    try:
        _load(leaf)[0].verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def names(pair: Pair) -> frozenset[str]:
    """The hosts that it is for."""
    try:
        found = _load(pair)[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset([*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))])


def expiry(certificate: bytes) -> float:
    """Seconds since the epoch."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc.timestamp()


def bundle(certificates: Iterable[bytes], now: datetime) -> bytes:
    """Those that can be read and have not ended, each once, in order."""
    found: dict[bytes, None] = {}
    for text in certificates:
        try:
            read = x509.load_pem_x509_certificates(text)
        except ValueError:
            continue
        for certificate in read:
            if certificate.not_valid_after_utc > now:
                found[certificate.public_bytes(serialization.Encoding.PEM)] = None
    return b"".join(found)


def contains(whole: bytes, certificate: bytes) -> bool:
    """Whether a bundle has a certificate in it. False for what cannot be read."""
    try:
        return x509.load_pem_x509_certificate(certificate) in x509.load_pem_x509_certificates(whole)
    except ValueError:
        return False


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _load(pair: Pair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = serialization.load_pem_private_key(pair.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not a key of ours")
    return x509.load_pem_x509_certificate(pair.certificate), key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
