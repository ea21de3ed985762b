"""What is known of how the Hub offers each file: a way counts the files that come by it, and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pullsizer.model import ModelFacts, Source
from pullsizer.policy import Profile
from pullsizer.quantity import GI, MI
from pullsizer.sizing import table
from pullsizer.sizing.downloader import CHUNK_CACHE, ways
from pullsizer.sizing.law import Downloader, need
from pullsizer.sizing.tuning import TUNED
from tests.unit.sizing.examples import KSERVE_ENVIRONMENT

HUB = Source("hf://org/model")
NO_XET = {"HF_HUB_ENABLE_HF_TRANSFER": "1", "HF_HUB_DISABLE_XET": "1"}
UNKNOWN = ModelFacts(bytes=20 * GI, files=12, largest=5 * GI)
ALL_XET = replace(UNKNOWN, largest_by_xet=5 * GI, largest_by_lfs=0)
ALL_LFS = replace(UNKNOWN, largest_by_xet=0, largest_by_lfs=5 * GI)
MIXED = replace(UNKNOWN, largest_by_xet=1 * GI, largest_by_lfs=5 * GI)
NEITHER = ModelFacts(bytes=9 * MI, files=4, largest=5 * MI, largest_by_xet=0, largest_by_lfs=0)


@pytest.mark.parametrize(
    ("facts", "environment", "release", "expected"),
    [
        (UNKNOWN, KSERVE_ENVIRONMENT, "v0.20", {"TRANSFER": 5, "XET_HIGH": 5}),
        (ALL_LFS, KSERVE_ENVIRONMENT, "v0.20", {"TRANSFER": 5}),
        (ALL_XET, KSERVE_ENVIRONMENT, "v0.20", {"PLAIN": 0, "XET_HIGH": 5}),
        (MIXED, KSERVE_ENVIRONMENT, "v0.20", {"TRANSFER": 5, "XET_HIGH": 1}),
        (NEITHER, KSERVE_ENVIRONMENT, "v0.20", {"PLAIN": 0}),
        (ALL_XET, {}, "v0.20", {"PLAIN": 0, "XET": 5}),
        (ALL_LFS, {}, "v0.20", {"PLAIN": 5}),
        (ALL_XET, NO_XET, "v0.20", {"TRANSFER": 5}),
        (MIXED, NO_XET, "v0.20", {"TRANSFER": 5}),
        (ALL_XET, TUNED, "v0.20", {"PLAIN": 5}),
        (ALL_XET, KSERVE_ENVIRONMENT, "hub-2", {"PLAIN_HUB_2": 0, "XET_1_8": 5}),
        (ALL_LFS, KSERVE_ENVIRONMENT, "hub-2", {"PLAIN_HUB_2": 5}),
        # An image that may be without hf-xet gets by LFS what is in Xet's store.
        (ALL_XET, KSERVE_ENVIRONMENT, None, {"TRANSFER": 5, "XET_HIGH": 5}),
        (ALL_XET, KSERVE_ENVIRONMENT, "v0.15", {"TRANSFER": 5, "XET_HIGH": 5}),
        (ALL_LFS, KSERVE_ENVIRONMENT, None, {"TRANSFER": 5}),
    ],
)
def test_a_way_has_the_largest_of_its_own_files_and_one_without_files_is_none(
    facts: ModelFacts, environment: dict[str, str], release: Profile | None, expected: dict[str, int]
) -> None:
    found = ways("hf", facts, environment, release)
    assert {way.row.name: way.largest for way in found} == {
        getattr(table, name).name: largest * GI for name, largest in expected.items()
    }


def test_beside_hf_transfer_small_files_come_one_by_one() -> None:
    (way,) = ways("hf", NEITHER, KSERVE_ENVIRONMENT, "v0.20")
    assert way.row.workers == 1


def test_other_stores_have_one_way_whatever_is_known() -> None:
    (way,) = ways("s3", ALL_LFS, {}, "v0.20")
    assert (way.row, way.largest) == (table.S3, 5 * GI)


@pytest.mark.parametrize(
    ("facts", "how"),
    [
        (ALL_XET, "Xet buffers whole files"),
        (ALL_LFS, "hf_transfer holds 100 ranges of a file at once"),
        (MIXED, "hf_transfer holds 100 ranges of a file at once"),
        (NEITHER, "plain requests, one file after another"),
    ],
)
def test_the_reason_names_the_way_that_is_taken(facts: ModelFacts, how: str) -> None:
    assert need(HUB, facts, Downloader(KSERVE_ENVIRONMENT, "v0.20")).why.endswith(f": {how}")


def test_lfs_alone_needs_no_more_than_hf_transfer_holds_and_xet_alone_nothing_of_that() -> None:
    downloader = Downloader(KSERVE_ENVIRONMENT, "v0.20")
    assert need(HUB, ALL_LFS, downloader).memory_limit == round(table.TRANSFER.limit(12, 5 * 1024) * MI)
    gibibyte = ModelFacts(bytes=GI, files=3, largest=GI, largest_by_xet=GI, largest_by_lfs=0)
    assert need(HUB, gibibyte, downloader).memory_limit == round(table.XET_HIGH.limit(3, 1024) * MI)


def test_without_a_file_of_xets_store_there_is_no_chunk_cache() -> None:
    downloader = Downloader(KSERVE_ENVIRONMENT, "v0.19")
    unknown, by_xet, by_lfs = (need(HUB, facts, downloader).disk for facts in (UNKNOWN, ALL_XET, ALL_LFS))
    assert unknown == by_xet == by_lfs + CHUNK_CACHE


environments = st.sampled_from([{}, KSERVE_ENVIRONMENT, TUNED, NO_XET, {"HF_HUB_ENABLE_HF_TRANSFER": "1"}])
releases = st.sampled_from((None, "v0.15", "v0.16", "v0.19", "v0.20", "hub-2"))


@example(sizes=[(1, "plain")] * 100, environment=NO_XET, release="v0.20")  # less bytes than files to speak of
@given(
    sizes=st.lists(st.tuples(st.integers(0, 20 * GI), st.sampled_from(("xet", "lfs", "plain"))), min_size=1),
    environment=environments,
    release=releases,
)
def test_knowing_more_never_raises_the_need(
    sizes: list[tuple[int, str]], environment: dict[str, str], release: Profile | None
) -> None:
    total, largest = sum(size for size, _ in sizes), max(size for size, _ in sizes)
    unknown = ModelFacts(bytes=total, files=len(sizes), largest=largest)
    by = {name: max((size for size, way in sizes if way == name), default=0) for name in ("xet", "lfs")}
    known = replace(unknown, largest_by_xet=by["xet"], largest_by_lfs=by["lfs"])
    before, after = (need(HUB, facts, Downloader(environment, release)) for facts in (unknown, known))
    assert after.working_set <= before.working_set
    assert after.memory_limit <= before.memory_limit
    assert after.core_seconds <= before.core_seconds
    assert after.byte_seconds <= before.byte_seconds
    assert after.cores <= before.cores
    assert after.disk <= before.disk
