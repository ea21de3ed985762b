"""What images' names, registries' manifests and challenges, and pull secrets say: pure."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from pullsizer.errors import MeasureError
from pullsizer.policy import SourceRules
from pullsizer.sources.oci.logins import Challenge, askable, challenge, login, may_know
from pullsizer.sources.oci.manifests import Image, Index, Layer
from pullsizer.sources.oci.manifests import parse as parse_manifest
from pullsizer.sources.oci.reference import parse

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


@pytest.mark.parametrize(
    ("uri", "full"),
    [
        ("oci://model", "docker.io/library/model:latest"),
        ("oci://team/model", "docker.io/team/model:latest"),
        ("oci://docker.io/model:v1", "docker.io/library/model:v1"),
        ("oci://index.docker.io/team/model", "docker.io/team/model:latest"),
        ("oci://library/model", "docker.io/library/model:latest"),
        ("oci://registry.example.com/model", "registry.example.com/model:latest"),
        ("oci://registry.example.com/a/b/c_d/e-f.g:V1.2_3-x", "registry.example.com/a/b/c_d/e-f.g:V1.2_3-x"),
        ("oci://registry:5000/model:1", "registry:5000/model:1"),
        ("oci://localhost/model", "localhost/model:latest"),
        ("oci://REGISTRY.example.com/model", "registry.example.com/model:latest"),
        ("oci://10.0.0.1:5000/model", "10.0.0.1:5000/model:latest"),
        ("oci+fetch://ghcr.io/team/model:v1", "ghcr.io/team/model:v1"),
        (f"oci://ghcr.io/team/model@{DIGEST}", f"ghcr.io/team/model@{DIGEST}"),
        (f"oci://ghcr.io/team/model:v1@{DIGEST}", f"ghcr.io/team/model@{DIGEST}"),
        (f"oci://ghcr.io/m@sha512:{'0' * 128}", f"ghcr.io/m@sha512:{'0' * 128}"),
    ],
)
def test_a_name_means_what_it_means_to_containerd(uri: str, full: str) -> None:
    reference = parse(uri)
    assert str(reference) == full
    assert reference.pinned == ("@" in full)


@pytest.mark.parametrize(
    "uri",
    [
        "oci://", "oci:///", "oci://a//b", "oci://registry.example.com/", "oci://registry.example.com/Model",
        "oci://registry.example.com/model:", "oci://registry.example.com/model:-x", "oci://registry.example.com/a:b:c",
        "oci://registry.example.com/model@", "oci://registry.example.com/model@sha256:abc",
        "oci://registry.example.com/model@latest", f"oci://registry.example.com/model@md5:{'a' * 32}",
        "oci://registry.example.com/model?x=y", "oci://registry.example.com/model#x", "oci://registry.example.com/a b",
        "oci://registry.example.com/../model", "oci://registry.example.com/a%2Fb", "oci://registry.example.com:0/m",
        "oci://registry.example.com:99999/m", "oci://127.1:5000/m", "oci://0x7f.1/m",
        f"oci://registry.example.com/{'a' * 256}", f"oci://registry.example.com/m:{'a' * 129}",
        "oci://me:secret@registry.example.com/model", "oci://registry.example.com/mod\r\nel",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused_without_its_secrets(uri: str) -> None:
    with pytest.raises(MeasureError, match="write oci://registry/repository:tag") as caught:
        parse(uri)
    assert caught.value.reason == "InvalidURI"
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        url = parse(f"oci://{text}").url(SourceRules())
    except MeasureError:
        return
    assert (url.scheme, url.path) == ("https", "/")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("model", "https://registry-1.docker.io"),
        ("ghcr.io/m", "https://ghcr.io"),
        ("registry:5000/m", "http://registry:5000"),
        ("REGISTRY:5000/m", "http://registry:5000"),
        ("registry:5001/m", "https://registry:5001"),
        ("plain.example/m", "http://plain.example"),
        ("plain.example:80/m", "http://plain.example"),
        ("plain.example:443/m", "https://plain.example"),
        ("tls.example:8443/m", "https://tls.example:8443"),
    ],
)
def test_only_endpoints_that_the_administrator_lists_are_asked_without_tls(name: str, url: str) -> None:
    listed = ("http://registry:5000", "http://plain.example", "https://tls.example:8443")
    assert parse(f"oci://{name}").url(SourceRules(allow_endpoints=listed)).origin() == URL(url).origin()


def layer(size: int, media_type: str = "application/vnd.oci.image.layer.v1.tar+gzip", digest: str = DIGEST) -> Any:
    return {"mediaType": media_type, "digest": digest, "size": size}


def manifest(*layers: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": layer(7), "layers": layers}).encode()


def index(*platforms: tuple[str, str]) -> bytes:
    items = [
        {"digest": f"sha256:{number:064}", "platform": {"os": system, "architecture": architecture}}
        for number, (system, architecture) in enumerate(platforms)
    ]
    return json.dumps({"manifests": items}).encode()


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/vnd.oci.image.layer.v1.tar", Layer(DIGEST, 5, "tar")),
        ("application/vnd.oci.image.layer.v1.tar+gzip", Layer(DIGEST, 5, "tar.gz")),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", Layer(DIGEST, 5, "tar.gz")),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Layer(DIGEST, 5, "tar.gz")),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Layer(DIGEST, 5, "tar.gz", readable=False)),
        ("application/vnd.cncf.model.weight.v1.raw", Layer(DIGEST, 5, "")),
    ],
)
def test_a_layer_is_what_its_media_type_says(media_type: str, expected: Layer) -> None:
    assert parse_manifest(manifest(layer(5, media_type))) == Image((expected,))


def test_neither_the_configuration_nor_attestations_are_layers() -> None:
    assert parse_manifest(manifest(layer(5, "application/vnd.in-toto+json"))) == Image(())


@pytest.mark.parametrize(
    ("platforms", "chosen"),
    [
        ([("linux", "arm64"), ("linux", "amd64"), ("linux", "amd64")], 1),
        ([("unknown", "unknown"), ("windows", "amd64"), ("linux", "amd64")], 2),
        ([("windows", "amd64"), ("linux", "s390x"), ("linux", "arm64")], 1),
    ],
)
def test_of_an_index_the_first_for_linux_on_amd64_is_taken(platforms: list[tuple[str, str]], chosen: int) -> None:
    assert parse_manifest(index(*platforms)) == Index(f"sha256:{chosen:064}")


def test_an_index_may_hold_nothing_for_linux() -> None:
    assert parse_manifest(index(("unknown", "unknown"), ("windows", "amd64"))) == Index("")
    assert parse_manifest(b'{"manifests": [{"digest": "x", "platform": null}, {}]}') == Index("")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"layers": [], "manifests": []}', b'{"layers": 5}',
        b'{"layers": [5]}', b'{"fsLayers": []}', manifest(layer(-1)), manifest(layer(True)), manifest({"size": 5}),
        manifest(layer(5, digest="sha256:../../x")), manifest(layer(1 << 62), layer(1 << 62)),
        manifest(layer(5, 5)), b'{"manifests": [{"digest": "x", "platform": {"os": "linux"}}]}',  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse_manifest(body)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"', Challenge(True, "https://a/t", "s")),
        ("bearer Realm=https://a/t", Challenge(True, "https://a/t", "")),
        ('Basic realm="x", Bearer realm="https://a/t", error="invalid_token"', Challenge(True, "https://a/t", "")),
        ('Bearer realm="https://a/t", Basic realm="x"', Challenge(True, "https://a/t", "")),
        ('Basic realm="Bearer of news"', Challenge(False)),
        ("Basic", Challenge(False)),
        ("Bearer", Challenge(True)),
        ("Negotiate, NTLM", None),
        ("", None),
    ],
)
def test_a_challenge_is_read_however_it_is_written(header: str, expected: Challenge | None) -> None:
    assert challenge(header) == expected


@given(st.text(alphabet='Bearer basic="\\,; realm', max_size=200))
def test_any_header_is_a_challenge_or_none(header: str) -> None:
    challenge(header)


AUTH = {"auth": base64.b64encode(b"me:secret:word").decode()}


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v2/", "ghcr.io"),
        ("ghcr.io:5000", "ghcr.io:5000"),
        ("ghcr.io", "ghcr.io:5000"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_a_pull_secret_is_found_under_the_names_that_tools_file_it_by(key: str, registry: str) -> None:
    found = login(json.dumps({"auths": {key: AUTH}}), registry)
    assert found is not None
    assert base64.b64decode(found.authorization.removeprefix("Basic ")) == b"me:secret:word"
    assert "Basic" not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "", "secret", "[]", "{}", '{"auths": []}', '{"auths": {"b.io": {"auth": "bWU6eA=="}}}', "[" * 100_000,
        '{"auths": {"a.io": 5}}', '{"auths": {"a.io": {}}}', '{"auths": {"a.io": {"auth": 5}}}',
        '{"auths": {"a.io": {"auth": "!"}}}', '{"auths": {"a.io": {"auth": "bWU="}}}',
        '{"auths": {"a.io": {"auth": "/w=="}}}', '{"credHelpers": {"a.io": "x"}}',
        '{"auths": {"io": {"auth": "bWU6eA=="}}}',
    ],
)  # fmt: skip
def test_a_secret_that_holds_nothing_for_the_registry_leaves_us_strangers(text: str) -> None:
    assert login(text, "a.io") is None


@pytest.mark.parametrize(
    ("registry", "realm", "known"),
    [
        ("https://ghcr.io", "https://ghcr.io/token", True),
        ("https://registry.example:5000", "https://registry.example:5001/token", True),
        ("http://registry:5000", "http://registry:5001/token", True),
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("https://registry.example.co.uk", "https://auth.example.co.uk/t", True),
        ("https://registry.example.co.uk", "https://auth.other.co.uk/t", False),
        ("https://example.co.uk", "https://co.uk/t", False),
        ("https://ghcr.io", "https://gcr.io/t", False),
        ("https://ghcr.io", "https://ghcr.io.evil.example/t", False),
        ("https://ghcr.io", "https://evilghcr.io/t", False),
        ("https://registry-1.docker.io", "http://auth.docker.io/token", False),
        ("https://1.2.3.4", "https://9.2.3.4/t", False),
        ("https://registry", "https://auth/t", False),
        ("https://rg.example.cloud", "https://api.example.com/t", False),
    ],
)
def test_the_password_goes_to_the_registrys_own_domain_only(registry: str, realm: str, *, known: bool) -> None:
    assert may_know(URL(realm), URL(registry)) == known


@pytest.mark.parametrize(
    ("registry", "realm", "may"),
    [
        ("https://a.example", "https://b.example/token", True),
        ("https://a.example", "http://a.example/token", False),
        ("http://a:5000", "http://a:5001/token", True),
        ("http://a:5000", "http://b:5001/token", False),
        ("https://a.example", "ftp://a.example/token", False),
        ("https://a.example", "https://me:secret@a.example/token", False),
        ("https://a.example", "/token", False),
        ("https://a.example", "", False),
    ],
)
def test_tokens_are_fetched_by_tls_unless_the_registry_is_allowed_to_do_without(
    registry: str, realm: str, *, may: bool
) -> None:
    assert askable(URL(realm), URL(registry)) == may
