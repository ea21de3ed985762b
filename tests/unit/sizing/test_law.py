"""What a pull needs, held against what was measured (docs/sizing.md)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.model import Archive, ModelFacts
from pullsizer.quantity import GI, MI
from pullsizer.sizing.downloader import TUNED, HuggingFaceDownloader, hugging_face_downloader
from pullsizer.sizing.law import Need, combined, hungriest, in_memory, need, request_for, round_memory
from tests.unit.sizing.examples import KSERVE_ENVIRONMENT, LARGE, SMALL

KSERVE = hugging_face_downloader(KSERVE_ENVIRONMENT, "kserve/storage-initializer:v0.20.0")
PLAIN = HuggingFaceDownloader(transfer=False, xet=False, high_performance=False)
TRANSFER = replace(PLAIN, transfer=True)
XET = replace(PLAIN, xet=True, high_performance=True)
XET_LOW = replace(XET, high_performance=False)
CAPPED = replace(XET_LOW, buffers_capped=True)


def one(size: int) -> ModelFacts:
    return ModelFacts(bytes=size, files=1, largest=size)


def ten(size: int) -> ModelFacts:
    return ModelFacts(bytes=size, files=10, largest=-(-size // 10))


@pytest.mark.parametrize(
    ("scheme", "facts", "downloader", "measured_peak", "smallest_limit_that_passed"),
    [
        # anonymous memory at the peak, and the limit at which every pull passed, in MiB
        ("https", one(8 * GI), KSERVE, 23, 64),
        ("gs", one(8 * GI), KSERVE, 32, 48),
        ("oci", one(GI), KSERVE, 25, 64),
        ("s3", one(GI), KSERVE, 183, 192),
        ("s3", one(8 * GI), KSERVE, 189, 256),
        ("s3", ten(GI), KSERVE, 375, 384),
        ("s3", ten(8 * GI), KSERVE, 474, 512),
        ("hf", one(8 * GI), PLAIN, 60, 100),
        ("hf", ten(8 * GI), PLAIN, 282, 384),
        ("hf", one(GI), TRANSFER, 1840, 2048),
        ("hf", one(8 * GI), TRANSFER, 2440, 3584),
        ("hf", ten(GI), TRANSFER, 338, 512),
        ("hf", one(GI), XET, 952, 1024),
        ("hf", one(4 * GI), XET, 3700, 4096),
        ("hf", ten(8 * GI), XET, 868, 1024),
        ("hf", one(GI), XET_LOW, 740, 768),
        ("hf", one(4 * GI), CAPPED, 284, 1024),
    ],
)
def test_the_request_covers_the_measured_peak_and_the_limit_every_pull_that_passed(
    scheme: str,
    facts: ModelFacts,
    downloader: HuggingFaceDownloader,
    measured_peak: int,
    smallest_limit_that_passed: int,
) -> None:
    found = need(scheme, facts, downloader)
    assert found.working_set >= measured_peak * MI
    assert round_memory(found.memory_limit) >= smallest_limit_that_passed * MI


@pytest.mark.parametrize(
    ("scheme", "facts", "downloader", "most"),
    [
        ("https", one(600 * GI), KSERVE, 128),
        ("gs", one(600 * GI), KSERVE, 128),
        ("s3", one(600 * GI), KSERVE, 320),
        ("s3", replace(one(8 * GI), files=2), KSERVE, 512),
        ("s3", ten(600 * GI), KSERVE, 1024),
        ("hf", one(600 * GI), PLAIN, 192),
        ("hf", ten(600 * GI), PLAIN, 448),
        ("hf", one(600 * GI), TRANSFER, 3840),
        ("hf", one(600 * GI), XET_LOW, 3328),
        ("hf", one(600 * GI), CAPPED, 1024),
        ("hf", one(600 * GI), XET, 21760),
    ],
)
def test_no_limit_grows_past_what_the_downloader_can_hold(
    scheme: str, facts: ModelFacts, downloader: HuggingFaceDownloader, most: int
) -> None:
    assert round_memory(need(scheme, facts, downloader).memory_limit) <= most * MI


@pytest.mark.parametrize("largest", [200 * MI, 950 * MI, 3000 * MI, 3105 * MI, 5000 * MI])
def test_where_the_hub_chooses_between_two_ways_the_limit_is_enough_for_both(largest: int) -> None:
    both, alone = need("hf", one(largest), KSERVE), [need("hf", one(largest), way) for way in (TRANSFER, XET)]
    assert both.working_set == max(way.working_set for way in alone)
    assert both.memory_limit == max(way.memory_limit for way in alone)


def test_the_same_bytes_need_thirty_times_more_over_xet_than_over_http() -> None:
    assert need("hf", one(10 * 10**9), KSERVE).memory_limit > 30 * need("https", one(10 * 10**9), KSERVE).memory_limit


@pytest.mark.parametrize("scheme", ["azure", "hdfs", "modelscope", "brand-new"])
def test_what_was_never_measured_gets_about_kserves_own_limit(scheme: str) -> None:
    assert 900 * MI <= need(scheme, one(10 * GI), KSERVE).memory_limit <= GI


@pytest.mark.parametrize(
    ("scheme", "archive", "times"),
    [
        ("https", "", 1.0),
        ("https", "tar", 2.0),
        ("https", "tar.gz", 2.0 / 0.82),
        ("https", "zip", 1 + 1 / 0.82),
        ("s3", "", 1.0),
        ("s3", "tar.gz", 1 + 1 / 0.82),
        ("s3", "zip", 1 + 1 / 0.82),
        ("gs", "", 1.0),
    ],
)
def test_the_disk_holds_the_measured_peak_while_an_archive_is_unpacked(
    scheme: str, archive: Archive, times: float
) -> None:
    found = need(scheme, ModelFacts(10 * GI, 1, 10 * GI, archive), KSERVE).disk
    assert times * 10 * GI < found
    assert found < (times * 1.4) * 10 * GI + 64 * MI


def test_many_small_files_of_the_hub_take_a_block_and_a_note_each() -> None:
    few, many = (need("hf", ModelFacts(GI, files, MI), KSERVE).disk for files in (1, 2001))
    assert many - few == 2000 * 6 * 1024


def test_the_chunk_cache_of_older_images_is_on_the_disk_too() -> None:
    old = hugging_face_downloader(KSERVE_ENVIRONMENT, "kserve/storage-initializer:v0.19.0")
    assert need("hf", one(4 * GI), old).disk - need("hf", one(4 * GI), KSERVE).disk == 4 * GI
    assert need("hf", one(80 * GI), old).disk - need("hf", one(80 * GI), KSERVE).disk == 10 * GI


@pytest.mark.parametrize(
    ("seconds", "millicores"), [(0, 100), (0.5, 100), (30, 100), (31, 150), (150, 500), (300, 1000), (10**9, 1000)]
)
def test_the_cpu_request_brings_a_pull_home_in_five_minutes_within_kserves_own_and_a_core(
    seconds: float, millicores: int
) -> None:
    assert request_for(seconds) == millicores


@pytest.mark.parametrize(
    ("scheme", "size", "limit"), [("https", 80, 1000), ("hf", 3, 1000), ("hf", 4, 2000), ("s3", 4, 2000)]
)
def test_a_second_core_is_for_those_that_can_use_it(scheme: str, size: int, limit: int) -> None:
    assert need(scheme, one(size * GI), KSERVE).cpu_limit == limit


@pytest.mark.parametrize(
    ("amount", "rounded"), [(1, 64 * MI), (64 * MI, 64 * MI), (2 * GI, 2 * GI), (2 * GI + 1, 2 * GI + 256 * MI)]
)
def test_memory_is_rounded_up_to_a_step_that_a_person_would_write(amount: int, rounded: int) -> None:
    assert round_memory(amount) == rounded


def test_several_sources_are_pulled_one_after_another() -> None:
    base, adapter = need("hf", LARGE, KSERVE), need("s3", SMALL, KSERVE)
    both = combined([base, adapter])
    assert (both.working_set, both.memory_limit) == (base.working_set, base.memory_limit)
    assert both.disk == base.disk + adapter.disk
    assert both.core_seconds == pytest.approx(base.core_seconds + adapter.core_seconds)
    assert both.cpu_limit == 2000
    assert both.why == f"{base.why}; {adapter.why}"


def test_of_many_sources_three_are_explained() -> None:
    why = combined([need("https", one(size * 10**9), KSERVE) for size in range(1, 6)]).why
    assert "3.0 GB" in why
    assert "4.0 GB" not in why
    assert why.endswith("; …")


def test_in_memory_the_model_itself_counts_and_no_disk() -> None:
    disk = need("https", one(GI), KSERVE)
    found = in_memory(disk)
    assert found.disk == 0
    assert found.working_set - disk.working_set >= GI
    assert found.memory_limit - disk.memory_limit >= GI
    assert found.memory_limit - disk.memory_limit < GI * 11 // 10 + 128 * MI


def test_where_it_is_not_known_which_source_is_the_large_one_the_hungriest_counts() -> None:
    assert hungriest(["https", "hf", "s3"], LARGE, KSERVE) == need("hf", LARGE, KSERVE)
    assert hungriest(["https", "https"], LARGE, KSERVE) == need("https", LARGE, KSERVE)


SCHEME = st.sampled_from(["hf", "s3", "https", "gs", "oci", "azure"])
DOWNLOADER = st.builds(HuggingFaceDownloader, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans())


@given(scheme=SCHEME, size=st.integers(0, 1 << 45), files=st.integers(1, 5000), downloader=DOWNLOADER)
def test_a_larger_model_never_needs_less(scheme: str, size: int, files: int, downloader: HuggingFaceDownloader) -> None:
    def of(total: int) -> Need:
        return need(scheme, ModelFacts(total, files, -(-total // files)), downloader)

    small, large = of(size), of(2 * size + 1)
    assert small.working_set <= large.working_set
    assert small.memory_limit <= large.memory_limit
    assert small.disk < large.disk
    assert small.core_seconds < large.core_seconds
    assert small.working_set < small.memory_limit
    assert small.disk >= size


@pytest.mark.parametrize(
    ("environment", "image", "expected"),
    [
        (KSERVE_ENVIRONMENT, "kserve/storage-initializer:v0.20.0", HuggingFaceDownloader()),
        (KSERVE_ENVIRONMENT, "kserve/storage-initializer:v0.16.1", HuggingFaceDownloader(chunk_cache=True)),
        (KSERVE_ENVIRONMENT, "r.example.com:5000/x/storage-initializer:0.19", HuggingFaceDownloader(chunk_cache=True)),
        (KSERVE_ENVIRONMENT, "kserve/storage-initializer:v0.15.0", HuggingFaceDownloader()),
        (KSERVE_ENVIRONMENT, "kserve/storage-initializer@sha256:0b17c0de", HuggingFaceDownloader()),
        (KSERVE_ENVIRONMENT, "", HuggingFaceDownloader()),
        ({}, "i", HuggingFaceDownloader(transfer=False, high_performance=False)),
        ({"HF_HUB_DISABLE_XET": "true"}, "i", HuggingFaceDownloader(False, False, False)),
        ({"HF_HUB_ENABLE_HF_TRANSFER": " YES "}, "i", HuggingFaceDownloader(high_performance=False)),
        (TUNED, "i", HuggingFaceDownloader(transfer=False, high_performance=False, buffers_capped=True)),
        (
            {**TUNED, "HF_XET_HIGH_PERFORMANCE": "1"},
            "i",
            HuggingFaceDownloader(transfer=False, high_performance=True, buffers_capped=False),
        ),
        (
            {**TUNED, "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_LIMIT": "8gb"},
            "i",
            HuggingFaceDownloader(transfer=False, high_performance=False, buffers_capped=False),
        ),
    ],
)
def test_the_downloader_is_as_its_environment_and_version_make_it(
    environment: dict[str, str], image: str, expected: HuggingFaceDownloader
) -> None:
    assert hugging_face_downloader(environment, image) == expected
