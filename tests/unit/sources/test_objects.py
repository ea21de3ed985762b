"""What holds for all object stores, on real servers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator

import pytest

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.sources.access import STRANGER, Access

from .mapped import Mapped
from .shops import KINDS, Shop, azure_shop, gs_shop, s3_shop


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest) -> Shop:
    match request.param:
        case "s3":
            return s3_shop(request.getfixturevalue("s3_server"))
        case "gs":
            return gs_shop(request.getfixturevalue("gcs_server"))
        case _:
            return azure_shop(request.getfixturevalue("azure_server"))


@pytest.fixture
async def mapped(shop: Shop) -> AsyncIterator[Mapped]:
    async with shop.measurer() as found:
        yield found


async def facts(mapped: Mapped, shop: Shop, source: Source, access: Access | None = None) -> ModelFacts:
    return await mapped.measurer.measure(source, access=access or shop.owner, rules=shop.rules())


async def refused(mapped: Mapped, shop: Shop, source: Source, access: Access | None = None) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        await facts(mapped, shop, source, access)
    return caught.value


@pytest.mark.parametrize("count", [1, 3])
async def test_all_files_of_a_folder_are_added_up(mapped: Mapped, shop: Shop, count: int) -> None:
    place = shop.place(False)
    place.put({f"m/{n}/weights.bin": 1000 + n for n in range(count)})
    found = await facts(mapped, shop, shop.source(place.name, "m"))
    sizes = [1000 + n for n in range(count)]
    assert (found.bytes, found.files, found.largest) == (sum(sizes), count, max(sizes))
    assert found.etag
    assert (found.archive, found.basis) == ("", "measured")


async def test_ten_thousand_files_are_listed_page_by_page(mapped: Mapped, shop: Shop) -> None:
    place = shop.place(False)
    place.put({f"m/{n:05}.bin": 2 << 30 for n in range(10_000)} | {"other": 5})
    found = await facts(mapped, shop, shop.source(place.name, "m/"))
    assert (found.bytes, found.files, found.largest) == (10_000 * (2 << 30), 10_000, 2 << 30)
    if shop.kind != "s3":  # whose plain requests do not go by the proxy
        assert (
            len(mapped.asked) == {"gs": 10, "azure": 4}[shop.kind]
        )  # pages of 1,000; the name itself, and pages of 5,000


async def test_a_single_file_is_found_by_its_name(mapped: Mapped, shop: Shop) -> None:
    place = shop.place(False)
    place.put({"m/model.bin": b"12345", "m/other": 7})
    found = await facts(mapped, shop, shop.source(place.name, "m/model.bin"))
    assert (found.bytes, found.files, found.largest) == (5, 1, 5)
    assert len(found.etag) < 64


async def test_filters_leave_files_out_by_their_path_below_the_folder(mapped: Mapped, shop: Shop) -> None:
    place = shop.place(False)
    place.put({"m/a.safetensors": 5, "m/a.bin": 7, "m/original/b.safetensors": 9})
    source = shop.source(place.name, "m", ("*.safetensors",), ("original/*",))
    assert (await facts(mapped, shop, source)).bytes == 5


async def test_nothing_that_the_filters_leave_is_told(mapped: Mapped, shop: Shop) -> None:
    place = shop.place(False)
    place.put({"m/a.bin": 7})
    error = await refused(mapped, shop, shop.source(place.name, "m", ("*.gguf",)))
    assert (error.reason, "filters" in str(error)) == ("NotFound", True)


async def test_empty_objects_are_no_files(mapped: Mapped, shop: Shop) -> None:
    place = shop.place(False)
    place.put({"m/a": 5, "m/_SUCCESS": b""})
    assert (await facts(mapped, shop, shop.source(place.name, "m"))).files == 1


async def test_names_are_not_decoded(mapped: Mapped, shop: Shop) -> None:
    place = shop.place(False)
    place.put({"m %41é+&/x y": 5, "m A/x": 7})
    assert (await facts(mapped, shop, shop.source(place.name, "m %41é+&"))).bytes == 5


async def test_a_zip_is_unpacked(mapped: Mapped, shop: Shop) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights", bytes(100_000))
    place = shop.place(False)
    place.put({"m/model.zip": packed.getvalue()})
    for path in ("m", "m/model.zip"):
        found = await facts(mapped, shop, shop.source(place.name, path))
        assert (found.bytes, found.archive, found.basis) == (len(packed.getvalue()), "zip", "measured")
        assert 100_000 <= found.unpacked <= 110_000


async def test_archives_beside_other_files_stay_packed(mapped: Mapped, shop: Shop) -> None:
    place = shop.place(False)
    place.put({"m/model.zip": b"x", "m/readme": b"y"})
    assert (await facts(mapped, shop, shop.source(place.name, "m"))).archive == ""


@pytest.mark.parametrize("path", ["m", "m/a"])
async def test_what_was_replaced_is_not_unchanged(mapped: Mapped, shop: Shop, path: str) -> None:
    place = shop.place(False)
    place.put({"m/a": b"before"})
    source = shop.source(place.name, path)
    found = await facts(mapped, shop, source)
    ask = mapped.measurer.unchanged
    assert await ask(source, found, access=shop.owner, rules=shop.rules())
    place.put({"m/a": b"after!"})
    assert not await ask(source, found, access=shop.owner, rules=shop.rules())


async def test_a_public_bucket_needs_no_credentials(mapped: Mapped, shop: Shop) -> None:
    place = shop.place(True)
    place.put({"m/a": 5})
    assert (await facts(mapped, shop, shop.source(place.name, "m"), STRANGER)).bytes == 5


@pytest.mark.parametrize("path", ["m", "m/a", "m/"])
async def test_wrong_credentials_are_unauthorized(mapped: Mapped, shop: Shop, path: str) -> None:
    place = shop.place(False)
    place.put({"m/a": 5})
    for access in (shop.wrong, STRANGER):
        error = await refused(mapped, shop, shop.source(place.name, path), access)
        assert error.reason == "Unauthorized"
        assert not [secret for secret in access.environment.values() if secret in str(error)]


@pytest.mark.parametrize("path", ["m", "m/"])
async def test_a_bucket_that_is_missing_is_not_found(mapped: Mapped, shop: Shop, path: str) -> None:
    assert (await refused(mapped, shop, shop.source("no-such-bucket", path))).reason == "NotFound"


@pytest.mark.parametrize("path", ["m", "m/"])
async def test_a_folder_that_is_missing_is_not_found(mapped: Mapped, shop: Shop, path: str) -> None:
    place = shop.place(False)
    place.put({"other/a": 5, "a": 5})
    error = await refused(mapped, shop, shop.source(place.name, path))
    assert (error.reason, "spelled right" in str(error)) == ("NotFound", True)
