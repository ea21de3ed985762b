from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullsizer.model import Archive, Basis
from pullsizer.sources import archives, zipdirectory
from pullsizer.sources.archives import archive_kind, gzip_size, unpacked
from pullsizer.sources.failures import failure

GI = 1 << 30
UNHURRIED = settings(deadline=None)
"""Archives are made for each example; how fast that goes is the machine's business."""
NOTHING = (0, "estimated")


class File:
    """Bytes, and which pieces of them were read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.read: list[int] = []

    async def __call__(self, start: int, length: int) -> bytes:
        assert start >= 0
        self.read.append(length)
        return self.content[start : start + length]


async def looked_into(kind: Archive, content: bytes) -> tuple[int, Basis]:
    return await unpacked(kind, len(content), File(content))


def noise(length: int) -> bytes:
    """What cannot be compressed, as weights nearly cannot."""
    return random.Random(length).randbytes(length)


def zipped(
    members: Sequence[bytes], method: int = zipfile.ZIP_DEFLATED, *, comment: bytes = b"", zip64: bool = False
) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for number, member in enumerate(members):
            with archive.open(f"folder/{number}", "w", force_zip64=zip64) as entry:
                entry.write(member)
        archive.comment = comment
    return made.getvalue()


def tarred(members: Sequence[bytes], mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for number, member in enumerate(members):
            info = tarfile.TarInfo(f"folder/{number}")
            info.size = len(member)
            archive.addfile(info, io.BytesIO(member))
    return made.getvalue()


def forged(content: bytes, at: int, value: int, length: int = 4, signature: bytes = b"PK\1\2") -> bytes:
    """The archive with another number in the first record of a kind."""
    found = bytearray(content)
    start = content.index(signature) + at
    found[start : start + length] = value.to_bytes(length, "little")
    return bytes(found)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("m.tar", "tar"),
        ("folder/m.tgz", "tar.gz"),
        ("m.tar.gz", "tar.gz"),
        ("m.tar.xz", "tar"),
        ("a.b/M.ZIP", "zip"),
        ("m.safetensors", ""),
        ("m.zip/m", ""),
        ("", ""),
    ],
)
def test_an_archive_is_told_by_the_ending_of_its_name(path: str, kind: Archive) -> None:
    assert archive_kind(path) == kind


def test_the_query_names_an_archive_where_the_path_does_not() -> None:
    assert archive_kind("/download", "file=m.zip") == "zip"
    assert archive_kind("/m.tar", "file=m.zip") == "tar"


async def test_what_is_no_archive_is_not_read() -> None:
    file = File(b"x")
    assert await unpacked("", 1, file) == (0, "measured")
    assert file.read == []


@UNHURRIED
@given(
    members=st.lists(st.binary(max_size=300) | st.integers(0, 5000).map(bytes), min_size=1, max_size=8),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
    comment=st.binary(max_size=100) | st.just(b"x" * 0xFFFF),
    zip64=st.booleans(),
)
def test_of_a_zip_exactly_what_comes_out_is_told(
    members: list[bytes], method: int, comment: bytes, *, zip64: bool
) -> None:
    content = zipped(members, method, comment=comment, zip64=zip64)
    expected = sum(map(len, members))
    found, basis = asyncio.run(looked_into("zip", content))
    assert (found, basis) == (expected, "measured") if expected else NOTHING


@UNHURRIED
@given(before=st.binary(max_size=2000), after=st.binary(max_size=200), cut=st.integers(0, 400))
def test_what_is_put_around_a_zip_never_makes_it_smaller_than_the_downloader_finds_it(
    before: bytes, after: bytes, cut: int
) -> None:
    members = [noise(200), bytes(1000)]
    whole = zipped(members)
    content = before + whole[: len(whole) - cut] + after
    found, _ = asyncio.run(looked_into("zip", content))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            expected = sum(info.file_size for info in archive.infolist())
    except zipfile.BadZipFile:
        return
    assert found >= expected


def extracted(content: bytes) -> int:
    """Bytes that the downloader would have written, until something is wrong with the archive."""
    written = 0
    with contextlib.suppress(Exception), zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                while piece := member.read(100):
                    written += len(piece)
    return written


@UNHURRIED
@given(
    rest=st.binary(max_size=300), level=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), seed=st.randoms()
)
def test_a_zip_with_any_bytes_changed_is_told_between_what_comes_out_and_what_can(
    rest: bytes, level: int, seed: random.Random
) -> None:
    changed = bytearray(zipped([b"x" * 50, rest, bytes(5000)], level))
    for _ in range(seed.randrange(1, 6)):
        changed[seed.randrange(len(changed))] = seed.randrange(256)
    found, _ = asyncio.run(looked_into("zip", bytes(changed)))
    assert found == 0 or extracted(bytes(changed)) <= found <= zipdirectory.DEFLATE * len(changed)


@UNHURRIED
@given(content=st.binary(max_size=2000))
def test_what_is_no_zip_is_not_known(content: bytes) -> None:
    if b"PK" not in content:
        assert asyncio.run(looked_into("zip", content)) == NOTHING


def test_a_zip_that_says_nothing_comes_out_counts_as_what_is_stored() -> None:
    content = zipped([noise(50_000)])
    for small in (0, 1, 40_000):
        assert asyncio.run(looked_into("zip", forged(content, 24, small))) == (len(content), "estimated")


def with_zip64_size(content: bytes, size: int) -> bytes:
    """The archive with another size in ZIP64's extra field, put behind its only entry."""
    at, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    extra = struct.pack("<HHQ", 1, 8, size)
    entry, last = bytearray(content[at:end] + extra), bytearray(content[end:])
    entry[24:28], entry[30:32] = b"\xff" * 4, len(extra).to_bytes(2, "little")
    last[12:16] = len(entry).to_bytes(4, "little")
    return content[:at] + bytes(entry + last)


def test_a_zip_that_says_far_too_much_counts_as_what_deflate_can_make_of_it() -> None:
    content = zipped([noise(50_000)])
    for forgery in (forged(content, 24, 0xFFFFFFF0), with_zip64_size(content, 1 << 63)):
        found, basis = asyncio.run(looked_into("zip", forgery))
        assert basis == "estimated"
        assert 50_000 * 1000 < found <= zipdirectory.DEFLATE * len(forgery)
    assert asyncio.run(looked_into("zip", with_zip64_size(content, 50_000))) == (50_000, "measured")


def test_entries_that_share_their_bytes_count_once() -> None:
    content = zipped([bytes(1 << 20)])
    at, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entry, last = content[at:end], bytearray(content[end:])
    last[8:10] = last[10:12] = (5000).to_bytes(2, "little")
    last[12:16] = (5000 * len(entry)).to_bytes(4, "little")
    bomb = content[:at] + 5000 * entry + bytes(last)
    assert asyncio.run(looked_into("zip", bomb)) == (zipdirectory.DEFLATE * len(bomb), "estimated")


def test_a_directory_that_leaves_most_of_the_file_out_is_not_believed() -> None:
    content = noise(1 << 20) + zipped([b"small"])
    assert asyncio.run(looked_into("zip", content)) == (len(content), "estimated")


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (12, 0xFFFFFFF0),  # longer than the file
        (12, 1 << 16),
        (12, 47),  # in the middle of an entry
        (10, 9),  # other entries than there are
    ],
)
def test_a_directory_that_is_not_where_it_should_be_is_not_believed(at: int, value: int) -> None:
    content = forged(zipped([noise(5000)] * 3), at, value, 2 if at == 10 else 4, b"PK\5\6")
    found, basis = asyncio.run(looked_into("zip", content))
    assert basis == "estimated"
    assert found in (0, len(content))


async def test_a_large_directory_is_read_piece_by_piece_and_added_up() -> None:
    members = 20_000
    file = File(zipped([b"1234567"] * members, zipfile.ZIP_STORED))
    assert await unpacked("zip", len(file.content), file) == (7 * members, "measured")
    assert max(file.read) <= archives._CHUNK
    assert sum(file.read) < len(file.content)


async def test_of_a_directory_beyond_all_measure_the_rest_is_taken_to_be_as_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archives, "_CHUNK", 4000)
    monkeypatch.setattr(archives, "_MOST_READ", 20_000)
    file = File(zipped([b"abc" * 10_000] * 3000))
    found, basis = await unpacked("zip", len(file.content), file)
    assert basis == "estimated"
    assert 30_000 * 3000 < found < 30_000 * 3000 * 5
    assert sum(file.read) <= zipdirectory.TAIL + 20_000


async def test_a_small_zip_is_one_question() -> None:
    file = File(zipped([noise(1000)] * 10))
    await unpacked("zip", len(file.content), file)
    assert file.read == [len(file.content)]


@UNHURRIED
@given(length=st.integers(1, 40_000), level=st.integers(0, 9))
def test_of_a_gzipped_tar_the_length_of_the_tar_is_estimated(length: int, level: int) -> None:
    tar = tarred([noise(length)])
    assert asyncio.run(looked_into("tar.gz", gzip.compress(tar, level))) == (len(tar), "estimated")


@UNHURRIED
@given(blocks=st.integers(1, 200 * GI // 512), percent=st.integers(80, 100))
def test_a_gzipped_tar_of_weights_is_never_told_too_small_and_exactly_up_to_16_gib(blocks: int, percent: int) -> None:
    tar = 512 * blocks
    stored = -(-tar * percent // 100)
    found = gzip_size((tar % (4 * GI)).to_bytes(4, "little"), stored)
    if tar % (4 * GI) == 0:
        assert found == 0
    elif stored < 16 * GI:
        assert found == tar
    else:
        assert tar <= found <= max(tar, stored * 5 // 4)


@UNHURRIED
@given(trailer=st.binary(min_size=4, max_size=4), size=st.integers(0, 1 << 60))
def test_no_trailer_makes_a_gzip_smaller_than_it_is_or_larger_than_it_can_be(trailer: bytes, size: int) -> None:
    found = gzip_size(trailer, size)
    assert found == 0 or size - size // 1000 - 1024 <= found <= size * zipdirectory.DEFLATE


@pytest.mark.parametrize("after", [bytes(512), gzip.compress(b"not a tar"), b"odd"])
def test_a_gzip_that_ends_in_something_else_is_not_known(after: bytes) -> None:
    assert asyncio.run(looked_into("tar.gz", gzip.compress(tarred([noise(5000)])) + after)) == NOTHING


@UNHURRIED
@given(members=st.lists(st.binary(max_size=2000), max_size=5))
def test_a_tar_is_as_long_as_what_is_in_it(members: list[bytes]) -> None:
    tar = tarred(members)
    found = asyncio.run(looked_into("tar", tar))
    assert found == ((len(tar), "measured") if members else NOTHING)


@pytest.mark.parametrize("mode", ["w:bz2", "w:xz"])
def test_a_tar_compressed_by_other_means_is_not_known(mode: str) -> None:
    assert asyncio.run(looked_into("tar", tarred([bytes(5000)], mode))) == NOTHING


async def never(_: int, __: int) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


async def fails(_: int, __: int) -> bytes:
    raise failure("SourceUnavailable", "gone")


async def empty(_: int, __: int) -> bytes:
    return b""


@pytest.mark.parametrize("read", [never, fails, empty])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
async def test_pieces_that_cannot_be_had_leave_it_unknown(
    monkeypatch: pytest.MonkeyPatch, kind: Archive, read: Callable[[int, int], Awaitable[bytes]]
) -> None:
    monkeypatch.setattr(archives, "_SECONDS", 0.01)
    for size in (0, 3, 1 << 40):
        assert await unpacked(kind, size, read) == NOTHING
