from __future__ import annotations

import pytest

from pullsizer.sources.upstream import Proxy, Upstream


def test_no_environment_means_no_proxy() -> None:
    assert Upstream.of({}).for_target("https", "a.example", 443) is None


def test_each_scheme_has_its_proxy() -> None:
    upstream = Upstream.of({"HTTPS_PROXY": "http://one:3128", "http_proxy": "two:8080"})
    assert upstream.for_target("https", "a.example", 443) == Proxy("one", 3128)
    assert upstream.for_target("http", "a.example", 80) == Proxy("two", 8080)


def test_the_lower_case_name_wins() -> None:
    upstream = Upstream.of({"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:2"})
    assert upstream.for_target("https", "a.example", 443) == Proxy("lower", 2)


def test_credentials_are_sent_and_never_shown() -> None:
    proxy = Upstream.of({"ALL_PROXY": "https://me:p%40ss@proxy"}).for_target("https", "a.example", 443)
    assert proxy == Proxy("proxy", 443, tls=True, authorization="Basic bWU6cEBzcw==")
    assert "bWU6" not in repr(proxy)


@pytest.mark.parametrize(
    "text", ["socks5://me:secret@proxy:1080", "http://", "http://me:secret@proxy:port", "http://[::1"]
)
def test_what_is_not_an_http_proxy_is_said_to_be_none(text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert Upstream.of({"HTTPS_PROXY": text}).for_target("https", "a.example", 443) is None
    assert "https" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("*", "a.example", True),
        ("example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        ("a.example", "a.example", True),
        ("A.Example , other", "a.example", True),
        ("ample", "a.example", False),
        ("a.example:443", "a.example", True),
        ("a.example:8443", "a.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("fd00::/8", "fd00::1", True),
        ("[fd00::1]", "fd00::1", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("", "a.example", False),
    ],
)
def test_no_proxy_is_read_as_other_tools_read_it(no_proxy: str, host: str, direct: bool) -> None:
    upstream = Upstream.of({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": no_proxy})
    assert (upstream.for_target("https", host, 443) is None) == direct
