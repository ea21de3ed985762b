"""The registry is the real one, and asks who is there in the two ways that registries have."""

from __future__ import annotations

import base64
import json
import re
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest

from .oci import INDEX, MANIFEST, OciRegistry


def get(registry: OciRegistry, url: str, **headers: str) -> bytes:
    context = ssl.create_default_context(cafile=str(registry.ca))
    request = urllib.request.Request(url, headers=headers | {"Accept": f"{MANIFEST}, {INDEX}"})
    with urllib.request.urlopen(request, timeout=30, context=context) as reply:
        answer: bytes = reply.read()
        return answer


def manifest(registry: OciRegistry, repository: str, reference: str, **headers: str) -> dict[str, Any]:
    found = json.loads(get(registry, f"{registry.tls_endpoint}/v2/{repository}/manifests/{reference}", **headers))
    assert isinstance(found, dict)
    return found


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_an_image_has_its_layers_and_they_are_read_in_parts(oci_registry: OciRegistry) -> None:
    digest = oci_registry.push("models/small", "v1", [b"0123456789", 20_000_000_000])
    found = manifest(oci_registry, "models/small", "v1")
    assert found == manifest(oci_registry, "models/small", digest)
    assert [layer["size"] for layer in found["layers"]] == [10, 20_000_000_000]
    small, huge = (f"{oci_registry.endpoint}/v2/models/small/blobs/{layer['digest']}" for layer in found["layers"])
    assert get(oci_registry, small, Range="bytes=3-5") == b"345"
    assert get(oci_registry, huge, Range="bytes=19999999990-19999999999") == bytes(10)


def test_an_index_leads_to_an_image_for_each_architecture(oci_registry: OciRegistry) -> None:
    oci_registry.push_index("models/many", "v1", {"amd64": [1000], "arm64": [2000]})
    found = manifest(oci_registry, "models/many", "v1")
    layers = {
        image["platform"]["architecture"]: manifest(oci_registry, "models/many", image["digest"])["layers"]
        for image in found["manifests"]
    }
    assert {name: [layer["size"] for layer in found] for name, found in layers.items()} == {
        "amd64": [1000],
        "arm64": [2000],
    }


def test_what_is_not_there_is_not_found(oci_registry: OciRegistry) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        manifest(oci_registry, "models/none", "v1")
    caught.value.close()


def test_one_registry_wants_a_password(oci_registry_basic: OciRegistry) -> None:
    registry = oci_registry_basic
    registry.push("models/basic", "v1", [7])
    for headers in ({}, basic(registry.user, "wrong")):
        with pytest.raises(urllib.error.HTTPError, match="401") as caught:
            manifest(registry, "models/basic", "v1", **headers)
        assert caught.value.headers["WWW-Authenticate"].startswith("Basic ")
        caught.value.close()
    found = manifest(registry, "models/basic", "v1", **basic(registry.user, registry.password))
    assert found["layers"][0]["size"] == 7


def test_one_registry_wants_a_token_that_another_server_gives_for_a_password(oci_registry_token: OciRegistry) -> None:
    registry = oci_registry_token
    registry.push("models/token", "v1", [7])
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        manifest(registry, "models/token", "v1")
    asked = dict(re.findall(r'(\w+)="([^"]*)"', caught.value.headers["WWW-Authenticate"]))
    caught.value.close()
    assert asked["scope"] == "repository:models/token:pull"
    assert asked["realm"].startswith("https://")
    url = f"{asked['realm']}?{urlencode({'service': asked['service'], 'scope': asked['scope']})}"
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        get(registry, url, **basic(registry.user, "wrong"))
    caught.value.close()
    token = json.loads(get(registry, url, **basic(registry.user, registry.password)))["token"]
    found = manifest(registry, "models/token", "v1", Authorization=f"Bearer {token}")
    assert found["layers"][0]["size"] == 7
