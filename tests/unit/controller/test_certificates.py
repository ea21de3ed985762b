"""The certificates, tried out in real handshakes."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pullsizer.controller import certificates
from pullsizer.controller.certificates import CA_LIFE, LEAF_LIFE, Pair, make_ca, make_leaf

NOW = datetime.now(UTC)
HOSTS = ("pullsizer-webhook.pullsizer-system.svc", "127.0.0.1")


async def handshake(leaf: Pair, trusted: bytes, host: str, folder: Path) -> None:
    """As an API server does it.

    :raises ssl.SSLError: when it does not trust what it sees
    """
    (folder / "tls.crt").write_bytes(leaf.certificate)
    (folder / "tls.key").write_bytes(leaf.key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    calling = ssl.create_default_context(cadata=trusted.decode())
    calling.verify_flags |= ssl.VERIFY_X509_STRICT

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=serving)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=calling, server_hostname=host)
        writer.close()


@pytest.mark.parametrize("host", HOSTS)
async def test_a_leaf_is_trusted_under_each_of_its_names(host: str, tmp_path: Path) -> None:
    ca = make_ca(NOW)
    await handshake(make_leaf(ca, HOSTS, NOW), ca.certificate, host, tmp_path)


async def test_a_leaf_is_not_trusted_under_another_name_nor_by_another_ca(tmp_path: Path) -> None:
    ca = make_ca(NOW)
    leaf = make_leaf(ca, HOSTS, NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await handshake(leaf, ca.certificate, "evil.example.com", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(leaf, make_ca(NOW).certificate, HOSTS[0], tmp_path)


@pytest.mark.parametrize("which", [0, 1])
async def test_a_bundle_of_two_cas_trusts_the_leaves_of_both(which: int, tmp_path: Path) -> None:
    cas = [make_ca(NOW), make_ca(NOW)]
    whole = certificates.bundle([ca.certificate for ca in cas], NOW)
    await handshake(make_leaf(cas[which], HOSTS, NOW), whole, HOSTS[0], tmp_path)


async def test_a_ca_signs_no_other_ca_and_a_leaf_signs_nothing(tmp_path: Path) -> None:
    ca = make_ca(NOW)
    false = make_leaf(make_leaf(ca, HOSTS, NOW), HOSTS, NOW)
    with pytest.raises(ssl.SSLError):
        await handshake(false, ca.certificate, HOSTS[0], tmp_path)


def test_it_is_renewed_when_a_third_of_its_life_is_left() -> None:
    ca = make_ca(NOW)
    leaf = make_leaf(ca, HOSTS, NOW)
    for pair, life in ((ca, CA_LIFE), (leaf, LEAF_LIFE)):
        assert not certificates.aging(pair, NOW)
        assert not certificates.aging(pair, NOW + life * 0.65)
        assert certificates.aging(pair, NOW + life * 0.67)
        assert certificates.aging(pair, NOW + life * 2)
        assert certificates.aging(pair, NOW - timedelta(days=1))


def test_a_leaf_does_not_outlive_its_ca() -> None:
    ca = make_ca(NOW)
    late = NOW + CA_LIFE - timedelta(days=10)
    assert certificates.expiry(make_leaf(ca, HOSTS, late).certificate) == certificates.expiry(ca.certificate)


def test_it_tells_its_names() -> None:
    assert certificates.names(make_leaf(make_ca(NOW), HOSTS, NOW)) == set(HOSTS)
    assert certificates.names(make_ca(NOW)) == frozenset()


def test_what_is_no_certificate_or_has_another_ones_key_is_not_usable() -> None:
    one, other = make_ca(NOW), make_ca(NOW)
    assert certificates.usable(one)
    assert not certificates.usable(None)
    assert not certificates.usable(Pair(one.certificate, other.key))
    assert not certificates.usable(Pair(b"rubbish", one.key))
    assert not certificates.usable(Pair(one.certificate, b"rubbish"))


def test_a_bundle_has_each_once_and_none_that_ended_or_cannot_be_read() -> None:
    old, new = make_ca(NOW - CA_LIFE - timedelta(days=1)), make_ca(NOW)
    whole = certificates.bundle([new.certificate, old.certificate, b"rubbish", new.certificate], NOW)
    assert whole == new.certificate
    assert certificates.contains(whole, new.certificate)
    assert not certificates.contains(whole, old.certificate)
    assert not certificates.contains(b"", new.certificate)


def test_a_key_is_not_in_what_is_logged() -> None:
    assert "PRIVATE" not in repr(make_ca(NOW))
