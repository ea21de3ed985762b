from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.policy import SourceRules
from pullsizer.sources.addresses import EgressRules, allowed, normal_host, split_authority

NOTHING_MORE = EgressRules()
V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16",
        "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1",
        "224.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "fc00::1", "fd00:ec2::254",
        "fd20:ce::254", "fe80::1", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_what_is_not_public_is_not_called(text: str) -> None:
    assert not allowed(ip_address(text), NOTHING_MORE)


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2a00::1", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_what_is_public_is_called(text: str) -> None:
    assert allowed(ip_address(text), NOTHING_MORE)


@given(V4 | V6)
def test_nothing_is_called_that_the_standard_library_knows_not_to_be_global(address: IPv4Address | IPv6Address) -> None:
    embedding = isinstance(address, IPv6Address) and (address.ipv4_mapped or address in ip_network("64:ff9b::/96"))
    if not address.is_global and not embedding:
        assert not allowed(address, NOTHING_MORE)


@given(V4)
def test_an_address_inside_another_is_judged_as_itself(address: IPv4Address) -> None:
    number = int(address)
    for outer in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert allowed(IPv6Address(outer), NOTHING_MORE) == allowed(address, NOTHING_MORE)


@given(V4 | V6)
def test_what_an_administrator_lists_is_called(address: IPv4Address | IPv6Address) -> None:
    assert allowed(address, EgressRules(networks=(ip_network(address),)))


def test_a_listed_ipv4_network_holds_for_the_ways_of_writing_it_in_ipv6() -> None:
    rules = EgressRules(networks=(ip_network("10.0.0.0/8"),))
    assert allowed(ip_address("::ffff:10.1.1.1"), rules)
    assert not allowed(ip_address("::ffff:192.168.1.1"), rules)


@pytest.mark.parametrize(
    "text",
    [
        "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.01", "1.2.3.4.5", "256.1.1.1", "a.0x1",
        "", ".", "a..b", "-a", "a-", "a b", "user@host", "host/path", "fe80::1%eth0", "::1%1", "[::1]", "a\x00b", "ﬁle",
        "a" * 64, "a." * 127 + "aaa",
    ],
)  # fmt: skip
def test_odd_hosts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        normal_host(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Hub.Example.COM", "hub.example.com"),
        ("localhost.", "localhost"),
        ("under_score.example", "under_score.example"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_host_has_one_normal_form(text: str, normal: str) -> None:
    assert normal_host(text) == normal_host(normal) == normal


@given(st.text(alphabet="0123456789abcdefxX.:-_%@[]/ \t\0é", max_size=24) | st.text(max_size=24))
def test_no_accepted_name_is_an_address_to_a_libc(text: str) -> None:
    try:
        host = normal_host(text)
    except ValueError:
        return
    try:
        ip_address(host)
    except ValueError:
        with pytest.raises(OSError, match="illegal"):
            socket.inet_aton(host)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.example:80", ("a.example", 80)), ("[::1]:443", ("::1", 443)), ("127.0.0.1:65535", ("127.0.0.1", 65535))],
)
def test_an_authority_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert split_authority(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a:",
        "a:0",
        "a:65536",
        "a:-1",
        "a:+80",
        "a:8 0",
        "a:٣",
        "::1:80",
        "[::1",
        "[::1]80",
        "[1.2.3.4]:80",
        "u@a:80",
    ],
)
def test_odd_authorities_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        split_authority(text)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://huggingface.co", ("huggingface.co", 443)),
        ("http://Mirror.svc.", ("mirror.svc", 80)),
        ("https://[fd00::1]:8443/hub", ("fd00::1", 8443)),
    ],
)
def test_the_hub_is_an_endpoint_wherever_it_is(endpoint: str, expected: tuple[str, int]) -> None:
    rules = SourceRules.model_validate({"huggingFace": {"endpoint": endpoint}})
    assert EgressRules.of(rules).endpoints == {expected}
