from __future__ import annotations

import zlib
from hashlib import sha1
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullsizer.sources.git_delta import applied, result_size
from pullsizer.sources.git_lines import Lines, line, lines, packed
from pullsizer.sources.git_objects import Objects, TooBigError, WorkTree
from pullsizer.sources.git_pack import Pack
from tests.stubs.git import commit, git, make_repository

TEXT = "".join(f"{number} {number * number}\n" for number in range(2000)).encode()
FILES = {
    "weights.bin": Random(1).randbytes(300_000),
    "empty": b"",
    "vocabulary.txt": TEXT,
    "folder/copy.txt": TEXT,
    "folder/deeper/almost.txt": TEXT[:-7],
    **{f"many/{number}.json": b'{"number": %d}' % number for number in range(300)},
}
TREE = WorkTree(sum(map(len, FILES.values())), len(FILES), 300_000, exact=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two branches whose folders and files are much alike, so that git stores some as differences to others."""
    folder = make_repository(tmp_path_factory.mktemp("git") / "r", FILES)
    git(folder, "checkout", "-q", "-b", "other")
    commit(folder, {"many/7.json": b"another", "folder/deeper/almost.txt": TEXT[:-9]})
    git(folder, "checkout", "-q", "main")
    return folder


def make_pack(repository: Path, revisions: str, *options: str) -> bytes:
    return git(repository, "pack-objects", "--stdout", "--revs", "-q", *options, stdin=f"{revisions}\n".encode())


def read(data: bytes, step: int = 1 << 16) -> tuple[Pack, Objects]:
    objects = Objects()
    pack = Pack(objects)
    for at in range(0, len(data), step):
        for _ in pack.feed(data[at : at + step]):
            pass
    return pack, objects


def head(repository: Path) -> bytes:
    return bytes.fromhex(git(repository, "rev-parse", "main").decode())


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
def test_a_pack_tells_what_a_checkout_writes(repository: Path, step: int) -> None:
    data = make_pack(repository, "main", "--delta-base-offset")
    pack, objects = read(data, step)
    assert (pack.complete, pack.length) == (True, len(data))
    assert objects.work_tree(head(repository)) == TREE


def test_folders_stored_as_differences_are_read_too(repository: Path) -> None:
    pack, objects = read(make_pack(repository, "main\nother", "--delta-base-offset", "--window=50"))
    found = objects.work_tree(head(repository))
    assert pack.complete
    assert found.files == TREE.files
    assert TREE.bytes <= found.bytes <= TREE.bytes + len(TEXT)
    assert not found.exact


def test_differences_to_what_came_later_make_an_estimate_from_all_files(repository: Path) -> None:
    pack, objects = read(make_pack(repository, "main\nother", "--window=50"))  # by names, not by distances
    found = objects.work_tree(head(repository))
    assert pack.complete
    assert found.bytes >= TREE.bytes - len(TEXT)  # copies are one file in a pack
    assert found.largest == TREE.largest


def test_a_pack_may_end_anywhere_and_is_not_complete_then(repository: Path) -> None:
    data = make_pack(repository, "main")
    for end in range(0, len(data), 997):
        assert not read(data[:end])[0].complete


def test_more_than_a_pack_is_none(repository: Path) -> None:
    with pytest.raises(ValueError, match="more than a pack"):
        read(make_pack(repository, "main") + b"x")


@given(seed=st.integers(0, 1 << 32), changes=st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_damage_is_found_or_harmless(small: bytes, seed: int, changes: int) -> None:
    damaged, random = bytearray(small), Random(seed)
    for _ in range(changes):
        damaged[random.randrange(len(damaged))] = random.randrange(256)
    try:
        _, objects = read(bytes(damaged), random.randrange(1, 5000))
        objects.work_tree(random.randbytes(20))
    except (ValueError, TooBigError):
        pass


@pytest.fixture(scope="module")
def small(repository: Path) -> bytes:
    return make_pack(repository, "main:folder\nmain:many", "--delta-base-offset")


def whole(*objects: bytes, count: int | None = None) -> bytes:
    """A pack of objects that are packed already."""
    return b"PACK" + (2).to_bytes(4) + (len(objects) if count is None else count).to_bytes(4) + b"".join(objects)


def packed_object(kind: int, data: bytes, size: int | None = None) -> bytes:
    size = len(data) if size is None else size
    first, size = kind << 4 | size & 15, size >> 4
    sizes = bytearray()
    while size:
        sizes.append(first | 128)
        first, size = size & 127, size >> 7
    sizes.append(first)
    return bytes(sizes) + zlib.compress(data)


@pytest.mark.parametrize(
    "data",
    [
        whole(packed_object(3, bytes(1000), size=1 << 60)),
        whole(packed_object(2, b"", size=9 << 20)),
        whole(*(packed_object(3, bytes(100 << 20)),) * 3),
        whole(count=1 << 20),
    ],
    ids=["one file", "one folder", "zeros", "objects"],
)
def test_what_is_more_work_than_a_user_may_make_is_refused(data: bytes) -> None:
    with pytest.raises(TooBigError):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"PUCK" + bytes(100),
        b"PACK" + bytes(100),
        whole(b"\x05" + bytes(50), count=1),
        whole(packed_object(3, b"abc", size=2)),
        whole(packed_object(3, b"abc", size=4), bytes(9)),
        whole(b"\x30" + bytes(50)),
        whole(b"\xe0" + b"\xff" * 30),
    ],
    ids=["name", "version", "kind", "longer", "shorter", "not deflated", "size"],
)
def test_what_is_no_pack_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read(data)


def name_of(kind: bytes, data: bytes) -> bytes:
    return sha1(b"%b %d\0%b" % (kind, len(data), data), usedforsecurity=False).digest()


def test_folders_within_folders_many_times_over_are_not_counted_for_ever() -> None:
    inner = b"100644 a\0" + name_of(b"blob", b"x")
    packs, folder = [packed_object(3, b"x"), packed_object(2, inner)], inner
    for _ in range(60):
        name = name_of(b"tree", folder)
        folder = b"40000 a\0" + name + b"40000 b\0" + name
        packs.append(packed_object(2, folder))
    text = b"tree " + name_of(b"tree", folder).hex().encode() + b"\n"
    _, objects = read(whole(*packs, packed_object(1, text)))
    with pytest.raises(TooBigError):
        objects.work_tree(name_of(b"commit", text))


def test_a_file_that_is_not_there_is_missed() -> None:
    folder = b"100644 a\0" + name_of(b"blob", b"x")
    text = b"tree " + name_of(b"tree", folder).hex().encode() + b"\n"
    _, objects = read(whole(packed_object(2, folder), packed_object(1, text)))
    with pytest.raises(ValueError, match="not in the pack"):
        objects.work_tree(name_of(b"commit", text))


def test_submodules_are_no_files() -> None:
    folder = b"160000 module\0" + bytes(20) + b"120000 link\0" + name_of(b"blob", b"x")
    text = b"tree " + name_of(b"tree", folder).hex().encode() + b"\n"
    _, objects = read(whole(packed_object(3, b"x"), packed_object(2, folder), packed_object(1, text)))
    assert objects.work_tree(name_of(b"commit", text)) == WorkTree(1, 1, 1, exact=True)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_delta_is_applied_or_refused(base: bytes, delta: bytes) -> None:
    for data in (delta, bytes([len(base)]) + delta):
        try:
            made = applied(base, data)
        except ValueError:
            continue
        assert len(made) == result_size(data)


def test_a_delta_copies_and_adds() -> None:
    assert applied(b"0123456789", bytes([10, 8, 0x91, 2, 4, 2]) + b"ab" + bytes([0x90, 2])) == b"2345ab01"
    assert applied(bytes(0x10000), bytes([0x80, 0x80, 4, 0x80, 0x80, 4, 0x80])) == bytes(0x10000)


@given(st.lists(st.binary(min_size=1, max_size=100)), st.integers(1, 50))
def test_lines_are_taken_apart_wherever_they_are_cut(texts: list[bytes], step: int) -> None:
    data, found = b"0000".join(map(line, texts)) + b"0001", Lines()
    got = [text for at in range(0, len(data), step) for text in found.feed(data[at : at + step])]
    assert got == [text + b"\n" for text in texts]
    assert found.complete
    assert lines(data) == texts


@pytest.mark.parametrize("data", [b"00", b"00zz", b"-001", b"0009abc", b"<html>"])
def test_what_is_not_made_of_lines_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="line"):
        lines(data)


def test_a_pack_is_in_the_first_band() -> None:
    texts = [b"packfile\n", b"\x01ab", b"\x02progress", b"\x01c", b""]
    assert b"".join(packed(texts)) == b"abc"
    for gave_up in (b"\x03no", b"ERR no"):
        with pytest.raises(ValueError, match="gave up"):
            list(packed([gave_up]))
