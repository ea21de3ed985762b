"""Images on real registries."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import tarfile
from collections.abc import AsyncIterator

import pytest

from pullsizer.errors import EgressDenied, MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER, Access
from pullsizer.sources.measure import Measurer
from tests.stores.oci import OciRegistry

from .conftest import rules_for

LOCAL = rules_for("http://hub.invalid", "127.0.0.0/8")


@pytest.fixture
async def trusting(oci_registry: OciRegistry) -> AsyncIterator[Measurer]:
    """A measurer that trusts the registries' CA."""
    async with Measurer(environ={"SSL_CERT_FILE": str(oci_registry.ca)}) as measurer:
        yield measurer


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    return f"models/{request.node.originalname.removeprefix('test_').replace('_', '-')[:60].rstrip('-')}"


def tarred(length: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo("models/weights")
        info.size = length
        archive.addfile(info, io.BytesIO(random.Random(length).randbytes(length)))
    return made.getvalue()


def pull_secret(registry: OciRegistry, password: str) -> Access:
    auth = base64.b64encode(f"{registry.user}:{password}".encode()).decode()
    config = json.dumps({"auths": {registry.host: {"auth": auth}}})
    return Access("models/uid/1", {"KSERVE_OCI_DOCKER_CONFIG": config})


async def refused(measurer: Measurer, uri: str, rules: SourceRules = LOCAL, access: Access = STRANGER) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await measurer.measure(Source(uri), access=access, rules=rules)
    return caught.value


@pytest.mark.parametrize("lengths", [[100_000], [100_000, 20, 3_000_000]])
@pytest.mark.parametrize("scheme", ["oci", "oci+fetch"])
async def test_an_image_is_its_layers(
    trusting: Measurer, oci_registry: OciRegistry, name: str, scheme: str, lengths: list[int]
) -> None:
    tars = [tarred(length) for length in lengths]
    layers = [gzip.compress(tar, mtime=0) for tar in tars]
    digest = oci_registry.push(name, f"v{len(lengths)}", layers)
    facts = await trusting.measure(Source(f"{scheme}://{oci_registry.host}/{name}:v{len(lengths)}"), rules=LOCAL)
    sizes = [len(layer) for layer in layers]
    assert facts == ModelFacts(
        bytes=sum(sizes),
        files=len(sizes),
        largest=max(sizes),
        archive="tar.gz",
        unpacked=sum(map(len, tars)),
        revision=digest,
        basis="estimated",
    )


async def test_of_many_layers_the_largest_are_looked_into(
    trusting: Measurer, oci_registry: OciRegistry, name: str
) -> None:
    tars = [tarred(1000 * number) for number in range(1, 121)]
    layers = [gzip.compress(tar) for tar in tars]
    oci_registry.push(name, "v1", layers)
    facts = await trusting.measure(Source(f"oci://{oci_registry.host}/{name}:v1"), rules=LOCAL)
    assert (facts.bytes, facts.files) == (sum(map(len, layers)), 120)
    assert facts.unpacked == sum(map(len, tars[-8:])) + 3 * sum(map(len, layers[:-8]))


async def test_a_layer_that_does_not_tell_what_comes_out_leaves_that_unknown(
    trusting: Measurer, oci_registry: OciRegistry, name: str
) -> None:
    oci_registry.push(name, "v1", [600 << 30])
    facts = await trusting.measure(Source(f"oci://{oci_registry.host}/{name}:v1"), rules=LOCAL)
    assert (facts.bytes, facts.archive, facts.unpacked, facts.basis) == (600 << 30, "tar.gz", 0, "estimated")


async def test_of_an_index_the_image_for_amd64_is_measured(
    trusting: Measurer, oci_registry: OciRegistry, name: str
) -> None:
    images = {"arm64": [b"a" * 10], "amd64": [b"b" * 20, b"c" * 30], "s390x": [b"d" * 40]}
    digest = oci_registry.push_index(name, "v1", images)
    source = Source(f"oci://{oci_registry.host}/{name}:v1")
    facts = await trusting.measure(source, rules=LOCAL)
    assert (facts.bytes, facts.files, facts.largest, facts.revision) == (50, 2, 30, digest)
    assert await trusting.unchanged(source, facts, rules=LOCAL)


async def test_where_there_is_none_for_amd64_it_is_the_first_for_linux(
    trusting: Measurer, oci_registry: OciRegistry, name: str
) -> None:
    oci_registry.push_index(name, "v1", {"arm64": [b"a" * 10]})
    assert (await trusting.measure(Source(f"oci://{oci_registry.host}/{name}:v1"), rules=LOCAL)).bytes == 10


async def test_a_tag_that_was_moved_is_another_image(trusting: Measurer, oci_registry: OciRegistry, name: str) -> None:
    source = Source(f"oci://{oci_registry.host}/{name}:latest")
    oci_registry.push(name, "latest", [b"one"])
    facts = await trusting.measure(source, rules=LOCAL)
    assert await trusting.unchanged(source, facts, rules=LOCAL)
    oci_registry.push(name, "latest", [b"two"])
    assert not await trusting.unchanged(source, facts, rules=LOCAL)


async def test_a_digest_is_asked_about_once(measurer: Measurer, trusting: Measurer, oci_registry: OciRegistry) -> None:
    digest = oci_registry.push("models/pinned", "v1", [b"one"])
    source = Source(f"oci://{oci_registry.host}/models/pinned@{digest}")
    facts = await trusting.measure(source, rules=LOCAL)
    assert facts.revision == digest
    # A measurer that does not even trust the registry
    assert await measurer.unchanged(source, facts, rules=LOCAL)
    other = Source(f"oci://{oci_registry.host}/models/pinned@sha256:{'0' * 64}")
    assert not await measurer.unchanged(other, facts, rules=LOCAL)


@pytest.mark.parametrize("missing", ["models/none:v1", "models/there:v2", "models/there@sha256:" + "0" * 64])
async def test_what_is_not_there_is_said_so(trusting: Measurer, oci_registry: OciRegistry, missing: str) -> None:
    oci_registry.push("models/there", "v1", [b"one"])
    error = await refused(trusting, f"oci://{oci_registry.host}/{missing}")
    assert error.reason == "NotFound"
    assert "models/" in str(error)


@pytest.mark.parametrize("kind", ["oci_registry_basic", "oci_registry_token"])
async def test_a_private_registry_gives_an_image_for_the_pull_secret(
    trusting: Measurer, request: pytest.FixtureRequest, name: str, kind: str
) -> None:
    registry: OciRegistry = request.getfixturevalue(kind)
    tar = tarred(5000)
    digest = registry.push(f"{name}-{kind}", "v1", [gzip.compress(tar)])
    source = Source(f"oci://{registry.host}/{name}-{kind}:v1")
    access = pull_secret(registry, registry.password)
    facts = await trusting.measure(source, access=access, rules=LOCAL)
    assert (facts.unpacked, facts.revision) == (len(tar), digest)
    assert await trusting.unchanged(source, facts, access=access, rules=LOCAL)


@pytest.mark.parametrize("kind", ["oci_registry_basic", "oci_registry_token"])
async def test_a_private_registry_gives_nothing_for_anything_else(
    trusting: Measurer, request: pytest.FixtureRequest, name: str, kind: str
) -> None:
    registry: OciRegistry = request.getfixturevalue(kind)
    registry.push(f"{name}-{kind}", "v1", [b"one"])
    uri = f"oci://{registry.host}/{name}-{kind}:v1"
    assert "does not give it to everybody" in str(await refused(trusting, uri))
    error = await refused(trusting, uri, access=pull_secret(registry, "wrong-password"))
    assert error.reason == "Unauthorized"
    assert "wrong-password" not in str(error)


async def test_without_tls_only_an_endpoint_that_the_administrator_lists_is_asked(
    measurer: Measurer, oci_registry: OciRegistry, name: str
) -> None:
    oci_registry.push(name, "v1", [b"four"])
    plain = oci_registry.endpoint.removeprefix("http://")
    assert (await refused(measurer, f"oci://{plain}/{name}:v1")).reason in ("TLSError", "SourceUnavailable")
    listed = SourceRules(allow_endpoints=(oci_registry.endpoint,))
    assert (await measurer.measure(Source(f"oci://{plain}/{name}:v1"), rules=listed)).bytes == 4


async def test_a_registry_on_the_inside_is_not_asked(trusting: Measurer, oci_registry: OciRegistry) -> None:
    error = await refused(trusting, f"oci://{oci_registry.host}/models/x:v1", SourceRules())
    assert isinstance(error, EgressDenied)


async def test_a_registry_that_nobody_vouches_for_is_not_trusted(measurer: Measurer, oci_registry: OciRegistry) -> None:
    assert (await refused(measurer, f"oci://{oci_registry.host}/models/x:v1")).reason == "TLSError"
